"""Real tofu with real providers, a server that counts what they make, and a server of states: all on loopback."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from environments.domain.errors import CalvinverseError
from environments.domain.template import Bundle
from environments.providers.opentofu.folders import WorkFolders
from environments.providers.opentofu.installation import Installation
from environments.providers.opentofu.module import OpenTofuModule, OpenTofuModuleOptions
from environments.providers.opentofu.ports import CredentialPart, IssuedCredentials, NoCredentials, StateAccess
from environments.providers.opentofu.prepared import Prepared
from environments.providers.opentofu.runner import OpenTofu
from environments.steps.base import Holder, Owner, StepContext, StepRun
from images.places import CHECKOUT
from images.toolchain import provider_mirror, require
from tests.fakes.backends.module_states import MemoryModuleKeys, MemoryModuleStates
from tests.support.step_harness import Run

ALPHA = Owner("env-alpha", "alpha")
STEP = "things"
WORKER = Holder("dep-1", "worker-1", 1)
NEXT = Holder("dep-1", "worker-2", 2)
PASSPHRASE = "a-word-that-nobody-may-read"

MODULE = """
terraform {
  required_providers {
    restapi = { source = "Mastercard/restapi" }
    time    = { source = "hashicorp/time" }
  }
}
variable "server" { type = string }
variable "names" { type = list(string) }
variable "note" {
  type    = string
  default = "first"
}
variable "passphrase" {
  type      = string
  sensitive = true
}
provider "restapi" {
  uri                  = var.server
  write_returns_object = true
}
resource "time_static" "made" {}
resource "restapi_object" "thing" {
  for_each = toset(var.names)
  path     = "/objects"
  data     = jsonencode({ id = each.key, note = var.note })
}
output "ids" { value = sort([for thing in restapi_object.thing : thing.id]) }
output "passphrase" {
  value     = var.passphrase
  sensitive = true
}
"""


def thing(name: str) -> str:
    """The address of an object in the module."""
    return f'restapi_object.thing["{name}"]'


class StoppableRun(Run):
    """A run that raises `reason` at its next look once that is set; `lease` seconds are sure from each look on."""

    def __init__(self, *, limit: float = 120.0, lease: float = 10.0, holder: Holder = WORKER) -> None:
        super().__init__(limit=limit)
        self.reason: CalvinverseError | None = None
        self._lease = lease
        self._held_by = holder

    @property
    def holder(self) -> Holder | None:
        """As given."""
        return self._held_by

    @property
    def sure_for(self) -> float:
        """The lease is prolonged all the time while this process runs."""
        return self._lease

    def before_effect(self) -> None:
        """Raises the reason, if there is one."""
        if self.reason is not None:
            raise self.reason
        super().before_effect()


class FolderBackend(MemoryModuleStates):
    """States in memory, and run records in a folder that several processes see."""

    def __init__(self, records: Path, states: MemoryModuleStates) -> None:
        super().__init__()
        self.__dict__ = states.__dict__
        self._records = FolderRunRecords(records)

    def save(self, owner: Owner, step: str, content: bytes, holder: Holder) -> None:
        """Into the folder."""
        self._records.save(owner, step, content, holder)

    def load(self, owner: Owner, step: str) -> bytes | None:
        """From the folder."""
        return self._records.load(owner, step)

    def remove(self, owner: Owner, step: str, holder: Holder) -> None:
        """The run record as well."""
        super().remove(owner, step, holder)
        self._records.remove(owner, step)


class FolderRunRecords:
    """Run records as files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def save(self, owner: Owner, step: str, content: bytes, holder: Holder) -> None:
        """Replaces it as a whole."""
        new = self._folder / "new"
        new.write_bytes(content)
        new.rename(self._folder / f"{owner.id}-{step}")

    def load(self, owner: Owner, step: str) -> bytes | None:
        """The content, if there is any."""
        file = self._folder / f"{owner.id}-{step}"
        return file.read_bytes() if file.exists() else None

    def remove(self, owner: Owner, step: str) -> None:
        """Deletes it."""
        (self._folder / f"{owner.id}-{step}").unlink(missing_ok=True)


class HandedBackend:
    """A `StateBackend` for another process, which has got its access from this one."""

    def __init__(self, access: StateAccess, folder: Path) -> None:
        self._access = access
        self._folder = folder

    def open(self, owner: Owner, step: str, holder: Holder | None, *, encrypted: bool = True) -> StateAccess:
        """What was handed over."""
        return self._access

    def exists(self, owner: Owner, step: str) -> bool:
        """Nobody asks here."""
        raise AssertionError

    def remove(self, owner: Owner, step: str, holder: Holder) -> None:
        """Nobody asks here."""
        raise AssertionError

    def keep_aside(self, owner: Owner, step: str, holder: Holder, content: bytes, why: str) -> None:
        """Into a file."""
        (self._folder / "aside").write_bytes(content)

    def aside(self, owner: Owner, step: str) -> bytes | None:
        """There is none."""
        return None


class FixedBroker(NoCredentials):
    """Issues what it was given."""

    def __init__(self, issued: IssuedCredentials) -> None:
        self._issued = issued

    def issue(
        self, owner: Owner, parts: Sequence[CredentialPart], seconds: float, run: StepRun
    ) -> AbstractContextManager[IssuedCredentials]:
        """Always the same."""
        return nullcontext(self._issued)


def tofu_at(base: Path) -> OpenTofu:
    """Tofu of the toolchain with its mirror, and all folders below one."""
    installation = Installation(str(require("tofu")["tofu"]), provider_mirror(), base / "providers")
    return OpenTofu(installation, WorkFolders(base / "work"), Prepared(base / "prepared"), at_once=4)


def context(
    server: str, names: Sequence[str], *, module: str = MODULE, owner: Owner = ALPHA, **options: Any
) -> StepContext:
    """A step that makes objects of these names."""
    variables = {"server": server, "names": list(names), "passphrase": PASSPHRASE, **options.pop("variables", {})}
    return StepContext(
        owner=owner,
        step=STEP,
        options=OpenTofuModuleOptions(folder="module", variables=variables, **options),
        bundle=Bundle(files={"module/main.tf": module.encode()}),
    )


@dataclass
class Site:
    """An executor on real tofu, in `base`; `things` is where the counting server listens."""

    base: Path
    things: str
    states: MemoryModuleStates
    keys: MemoryModuleKeys = field(default_factory=MemoryModuleKeys)

    def __post_init__(self) -> None:
        self.backend = FolderBackend(self.base / "records", self.states)
        self.tofu = tofu_at(self.base)
        self.executor = OpenTofuModule(self.tofu, self.backend, self.keys, self.backend)

    def apply(self, names: Sequence[str], run: Run | None = None, **options: Any) -> dict[str, Any]:
        """Applies the module."""
        return self.executor.apply(context(self.things, names, **options), run or StoppableRun())

    def recorded(self) -> frozenset[str]:
        """The addresses in the state."""
        self.executor.modules.forget(ALPHA, STEP)
        return self.executor.modules.observe(ALPHA, STEP).recorded

    def in_flight(self) -> frozenset[str]:
        """The addresses that may exist beside it."""
        self.executor.modules.forget(ALPHA, STEP)
        return self.executor.modules.observe(ALPHA, STEP).in_flight

    def leftovers(self) -> list[Path]:
        """What is left in work folders."""
        return sorted((self.base / "work").rglob("*"))

    def processes(self) -> dict[int, Path]:
        """Processes that work in a work folder: their programs by their ids."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cwd").readlink().is_relative_to(self.base / "work"):
                    found[int(process.name)] = (process / "exe").readlink()
            except OSError:
                continue
        return found

    def tofus(self) -> list[int]:
        """Processes of tofu itself."""
        return [number for number, program in self.processes().items() if program.name == "tofu"]

    def other_worker(self, names: Sequence[str], *, lease: float = 10.0) -> "subprocess.Popen[str]":
        """A process that applies the module as WORKER; it says `done`, or the code of the error, at its end."""
        access = self.backend.open(ALPHA, STEP, WORKER)
        given = {
            "base": str(self.base),
            "access": [access.address, access.username, access.password],
            "things": self.things,
            "names": list(names),
            "lease": lease,
            "key": self.keys.key(ALPHA),
        }
        command = [sys.executable, "-m", "tests.support.opentofu_worker"]
        worker = subprocess.Popen(command, cwd=CHECKOUT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert worker.stdin is not None
        worker.stdin.write(json.dumps(given))
        worker.stdin.close()
        return worker


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> None:
    """Waits for something that comes by itself."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.02)


def kill(process: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Sends a signal."""
    os.kill(process, number)


def environ(process: int) -> Mapping[str, str]:
    """The environment of a process."""
    text = Path(f"/proc/{process}/environ").read_bytes().decode()
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)
