"""What the providers give, as the service and the checking processes see it."""

from environments.bootstrap.parts import make_registry
from environments.bootstrap.providers import STEP_KINDS
from tests.support.parts import memory_parts


def test_the_checking_processes_know_the_step_kinds_that_the_service_has() -> None:
    executors = make_registry(memory_parts()).executors
    known: dict[str, object] = dict(STEP_KINDS)
    assert {kind: type(executor) for kind, executor in executors.items()} == known


def test_what_is_in_an_agent_goes_with_the_agent() -> None:
    registry = make_registry(memory_parts())
    assert {kind: agent for kind, (_, agent) in registry.hosted_by.items()} == {
        "consul.kv": "consul",
        "consul.policy": "consul",
        "consul.services": "consul",
        "consul.tokens": "consul",
        "edge.certificate": "openbao",
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
