"""The real OpenTofu with its state behind the real backend: encrypted, locked, fenced."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from environments.api.state_server import StateServer
from environments.domain.commands import CreateEnvironment
from environments.domain.lifecycle import DeploymentKind
from environments.providers.opentofu.ports import StateAccess
from environments.providers.opentofu.served_states import ServedStates
from environments.service.authorization import Principal
from environments.steps.base import Holder, Owner
from images.toolchain import require
from tests.fakes.service import FakeService, make_service

ADMIN = Principal("root", "admin", "tok-root")
SECONDS = 60

MODULE = """
terraform {
  backend "http" {}
}
variable "text" {
  type = string
}
resource "terraform_data" "one" {
  input = var.text
}
resource "terraform_data" "slow" {
  triggers_replace = var.text
  provisioner "local-exec" {
    command = "touch began; while [ -e hold ]; do sleep 0.02; done"
  }
}
output "text" {
  value = terraform_data.one.output
}
"""

ENCRYPTION = """
key_provider "pbkdf2" "key" {
  passphrase = "a passphrase that is long enough for a test"
}
method "aes_gcm" "it" {
  keys = key_provider.pbkdf2.key
}
state {
  method   = method.aes_gcm.it
  enforced = true
}
plan {
  method   = method.aes_gcm.it
  enforced = true
}
"""


@dataclass
class Backend:
    """A service with an environment, its states served as beside a worker, and a folder with the module."""

    service: FakeService
    owner: Owner
    states: ServedStates
    folder: Path
    program: Path
    children: list[subprocess.Popen[str]] = field(default_factory=list)

    def claim(self, worker: str) -> Holder:
        """The deployment, taken over from whoever has it."""
        with self.service.database.write() as tx:
            tx.deployments.release_all()
            claim = tx.deployments.claim(worker, 600, list(DeploymentKind), datetime.now(UTC))
        assert claim is not None
        return Holder(claim.deployment.id, worker, claim.deployment.epoch)

    def open(self, holder: Holder | None) -> StateAccess:
        """The way to the state."""
        return self.states.open(self.owner, "app", holder)

    def start(self, access: StateAccess, *arguments: str, encryption: str = ENCRYPTION) -> subprocess.Popen[str]:
        """Runs tofu with that way to its state."""
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            "TF_HTTP_ADDRESS": access.address,
            "TF_HTTP_LOCK_ADDRESS": access.address,
            "TF_HTTP_UNLOCK_ADDRESS": access.address,
            "TF_HTTP_LOCK_METHOD": "LOCK",
            "TF_HTTP_UNLOCK_METHOD": "UNLOCK",
            "TF_HTTP_USERNAME": access.username,
            "TF_HTTP_PASSWORD": access.password,
            "TF_HTTP_RETRY_MAX": "0",
            **({"TF_ENCRYPTION": encryption} if encryption else {}),
        }
        child = subprocess.Popen(
            [str(self.program), *arguments, "-no-color"],
            cwd=self.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.children.append(child)
        return child

    def run(self, holder: Holder, *arguments: str, encryption: str = ENCRYPTION) -> tuple[int, str]:
        """Runs tofu for a holder to its end: its status, and what it printed."""
        child = self.start(self.open(holder), *arguments, encryption=encryption)
        printed, _ = child.communicate(timeout=SECONDS)
        return child.returncode, printed

    def apply(self, holder: Holder, text: str, *more: str) -> tuple[int, str]:
        return self.run(holder, "apply", "-auto-approve", "-input=false", f"-var=text={text}", *more)

    def versions(self) -> list[str | None]:
        return [version.refused for version in self.service.module_states.versions(self.owner.id, "app")]


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    program = require("tofu")["tofu"]
    service = make_service(tmp_path / "service")
    server = StateServer(service.tokens, service.module_states)
    folder = tmp_path / "module"
    folder.mkdir()
    (folder / "main.tf").write_text(MODULE)
    made = service.requests.create(ADMIN, CreateEnvironment(name="demo", template="web")).environment
    states = ServedStates(service.module_states, lambda: server.address)
    found = Backend(service, Owner(made.id, made.name), states, folder, program)
    server.start()
    try:
        yield found
    finally:
        for child in found.children:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            child.wait(10)
            assert child.stdout is not None
            child.stdout.close()
        server.stop()
        service.database.close()


def test_a_module_is_applied_once_and_its_state_is_encrypted(backend: Backend) -> None:
    holder = backend.claim("w1")
    assert backend.run(holder, "init", "-input=false")[0] == 0
    status, printed = backend.apply(holder, "hunter2")
    assert status == 0, printed
    status, printed = backend.apply(holder, "hunter2")
    assert status == 0, printed
    assert "No changes." in printed
    access = backend.open(None)
    content = backend.service.module_states.read(
        backend.service.module_states.admit(backend.owner.id, "app", access.username, access.password)
    )
    assert content is not None
    assert b"hunter2" not in content
    assert "encrypted_data" in json.loads(content)
    assert all(refused is None for refused in backend.versions())
    later = backend.claim("w2")
    status, printed = backend.run(later, "output", "-raw", "text")
    assert (status, printed) == (0, "hunter2")


def test_a_state_that_is_not_encrypted_is_refused(backend: Backend) -> None:
    holder = backend.claim("w1")
    assert backend.run(holder, "init", "-input=false", encryption="")[0] == 0
    arguments = ("apply", "-auto-approve", "-input=false", "-var=text=hunter2")
    status, printed = backend.run(holder, *arguments, encryption="")
    assert status == 1
    assert "HTTP error: 422" in printed
    assert backend.versions() == []


def test_a_second_run_waits_for_the_lock_or_is_told_who_has_it(backend: Backend) -> None:
    holder = backend.claim("w1")
    assert backend.run(holder, "init", "-input=false")[0] == 0
    states = backend.service.module_states
    access = backend.open(holder)
    caller = states.admit(backend.owner.id, "app", access.username, access.password)
    info = {"ID": "the-first", "Who": "ada@first", "Operation": "OperationTypeApply", "Created": "2026-01-01T00:00:00Z"}
    assert states.lock(caller, info) is None
    arguments = ("apply", "-auto-approve", "-input=false", "-var=text=a")
    told = backend.start(access, *arguments, "-lock-timeout=0s")
    printed, _ = told.communicate(timeout=SECONDS)
    assert told.returncode == 1
    assert "already locked: ID=the-first" in printed
    assert "ada@first" in printed
    waiting = backend.start(access, *arguments, f"-lock-timeout={SECONDS}s")
    assert waiting.stdout is not None
    seen = next((line for line in waiting.stdout if "Acquiring state lock" in line), None)
    assert seen is not None, "it didn't wait"
    states.unlock(caller, info)
    printed, _ = waiting.communicate(timeout=SECONDS)
    assert waiting.returncode == 0, printed
    assert "Apply complete!" in printed


def test_a_write_of_a_stale_worker_is_kept_aside(backend: Backend) -> None:
    first = backend.claim("w1")
    assert backend.run(first, "init", "-input=false")[0] == 0
    assert backend.apply(first, "one")[0] == 0
    before = len(backend.versions())
    (backend.folder / "began").unlink()
    (backend.folder / "hold").touch()
    stale = backend.start(backend.open(first), "apply", "-auto-approve", "-input=false", "-var=text=two")
    _until(lambda: (backend.folder / "began").exists() or stale.poll() is not None)
    assert stale.poll() is None
    second = backend.claim("w2")
    (backend.folder / "hold").unlink()
    printed, _ = stale.communicate(timeout=SECONDS)
    assert stale.returncode == 1
    assert "HTTP error: 409" in printed
    assert (backend.folder / "errored.tfstate").exists()
    why = backend.versions()[before:]
    assert why
    assert set(why) <= {None, "worker w1 no longer holds the deployment"}
    assert why[-1] is not None
    aside = backend.states.aside(backend.owner, "app")
    assert aside is not None
    assert b"encrypted_data" in aside
    (backend.folder / "errored.tfstate").unlink()
    status, printed = backend.apply(second, "three")
    assert status == 0, printed
    assert backend.versions()[-1] is None
    assert backend.run(second, "output", "-raw", "text") == (0, "three")


def _until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)
