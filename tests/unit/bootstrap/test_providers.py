"""What the providers give, as the service and the checking processes see it."""

import subprocess
import sys

from environments.bootstrap.parts import make_registry
from environments.bootstrap.providers import STEP_KINDS
from tests.support.parts import memory_parts

VENDORS_LIBRARIES = ("consul", "hvac", "nomad", "requests", "httpx2", "cryptography", "sqlalchemy")


def test_the_checking_processes_know_the_step_kinds_that_the_service_has() -> None:
    executors = make_registry(memory_parts()).executors
    known: dict[str, object] = dict(STEP_KINDS)
    assert {kind: type(executor) for kind, executor in executors.items()} == known


def test_step_kinds_can_be_loaded_without_any_library_of_a_vendor() -> None:
    loaded = "import sys, environments.bootstrap.providers; print(*sys.modules, sep='\\n')"
    ended = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, timeout=120)
    assert not {name.partition(".")[0] for name in ended.stdout.split()} & {*VENDORS_LIBRARIES}


def test_what_is_in_an_agent_goes_with_the_agent() -> None:
    registry = make_registry(memory_parts())
    assert {kind: agent for kind, (_, agent) in registry.hosted_by.items()} == {
        "consul.kv": "consul",
        "consul.policy": "consul",
        "consul.services": "consul",
        "consul.tokens": "consul",
        "nomad.job": "nomad",
        "nomad.namespace": "nomad",
        "nomad.policy": "nomad",
        "nomad.tokens": "nomad",
        "vault.certificates": "openbao",
        "vault.folder": "openbao",
        "vault.identity": "openbao",
        "vault.module_key": "openbao",
        "vault.pki-role": "openbao",
        "vault.secret": "openbao",
    }
