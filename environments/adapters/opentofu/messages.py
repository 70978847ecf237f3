"""What tofu says with `-json`: lines for people without values, and what went wrong as one of our errors."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from environments.domain.cleaning import Cleaner
from environments.domain.errors import (
    BackendDenied,
    BackendError,
    BackendUnavailable,
    CalvinverseError,
    InvalidTemplate,
    MachineError,
    StepFailed,
)
from environments.executors.opentofu_ports import Output, Settlement

LONGEST = 500
"""Characters of a diagnostic's text that people get to read."""

_DOING = {"create": "creating", "update": "changing", "delete": "destroying", "read": "reading", "replace": "replacing"}
_DONE = {"create": "created", "update": "changed", "delete": "destroyed", "read": "read"}
_WILL = {
    "create": "will be created",
    "update": "will be changed",
    "replace": "will be replaced",
    "delete": "will be destroyed",
    "remove": "will be forgotten",
    "forget": "will be forgotten",
}

_LOCKED = "Error acquiring the state lock"
_PROVIDERS = (
    "Failed to query available provider packages",
    "Failed to install provider",
    "Failed to resolve provider packages",
    "Required plugins are not installed",
    "Inconsistent dependency lock file",
    "Could not retrieve providers for locking",
    "Incompatible provider version",
    "Invalid provider registry host",
)
_STATE = (
    "Error refreshing state",
    "Error loading state",
    "Error loading the state",
    "Failed to load state",
    "Failed to save state",
    "Failed to get existing workspaces",
    "Failed to refresh cached state",
    "Failed to persist state",
    "Error saving state",
    "Error releasing the state lock",
    "Failed to upload state",
    "Failed to retrieve",
    "Error inspecting states",
)


@dataclass(frozen=True)
class Diagnostic:
    """A warning or an error of tofu. `place` is a file and a line, `address` a resource; either may lack."""

    severity: str
    summary: str
    detail: str = ""
    address: str = ""
    place: str = ""

    def sentence(self) -> str:
        """Everything in one line: `main.tf:3: restapi_object.a: Unsupported argument: An argument …`."""
        text = ": ".join(filter(None, (self.place, self.address, self.summary, " ".join(self.detail.split()))))
        return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


@dataclass
class Messages:
    """Collects what matters of one run. `cleaner` knows the secrets that the run was given: none is passed on."""

    cleaner: Cleaner = field(default=Cleaner(), repr=False)
    planned_before: bool = False
    """Whether people have read already what is planned."""
    planned: dict[str, list[str]] = field(default_factory=dict)
    """Address → actions, of managed resources."""
    began: set[str] = field(default_factory=set)
    """Addresses that tofu has begun to work on."""
    gone: set[str] = field(default_factory=set)
    """Addresses that it has destroyed and not begun to make again, that it forgets, or calls otherwise from now on."""
    drifted: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
    steady_outputs: bool = False
    """Whether a plan has outputs and changes none: then there is a state that holds them."""
    moves: bool = False
    """Whether anything in the state changes, be it only an address."""
    diagnostics: list[Diagnostic] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    """Lines that are no JSON: what tofu says when it breaks down, or when it isn't tofu."""

    def take(self, line: bytes) -> str | None:
        """Reads one line of tofu; a line for people where there is something to say."""
        said = self._take(line)
        return None if said is None else self.clean(said)

    def _take(self, line: bytes) -> str | None:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict) or "type" not in message:
            if text := self.clean(line.decode(errors="replace").strip()):
                self.plain.append(text)
            return None
        kind = message["type"]
        if kind == "diagnostic":
            return self._diagnostic(message)
        if kind == "planned_change":
            return self._planned(message["change"])
        if kind == "resource_drift":
            change = message["change"]
            self.moves = True
            self.drifted[change["resource"]["addr"]] = change["action"]
            return f"{change['resource']['addr']} is no longer as it was left"
        if kind == "outputs":
            self.steady_outputs = bool(message["outputs"]) and all(
                told.get("action") == "noop" for told in message["outputs"].values()
            )
            self.outputs = {name: self.output(told) for name, told in message["outputs"].items()}
            return None
        hook = message.get("hook") or {}
        if kind == "apply_start":
            self.began.add(hook["resource"]["addr"])
            self.gone.discard(hook["resource"]["addr"])
        if kind == "apply_complete" and hook["action"] == "delete":
            self.gone.add(hook["resource"]["addr"])
        return _progress(kind, hook)

    def errors(self) -> list[Diagnostic]:
        """The errors in the order in which they came."""
        return [found for found in self.diagnostics if found.severity == "error"]

    def settlement(self) -> Settlement:
        """What tofu did."""
        return Settlement(frozenset(self.began), frozenset(self.gone))

    def clean(self, text: str) -> str:
        """The text with nothing secret in it, and nothing that a terminal would obey."""
        return self.cleaner.clean(text)

    def output(self, told: Mapping[str, Any]) -> Output:
        """An output as tofu tells it. One that holds a secret which the run was given counts as sensitive."""
        sensitive = bool(told.get("sensitive")) or self.cleaner.holds_secret(told.get("value"))
        return Output(None if sensitive else told.get("value"), sensitive)

    def _diagnostic(self, message: dict[str, Any]) -> str:
        told = message["diagnostic"]
        span = told.get("range") or {}
        place = f"{span['filename']}:{span['start']['line']}" if span.get("filename") else ""
        found = Diagnostic(
            told.get("severity", "error"),
            self.clean(told.get("summary", "")),
            self.clean(told.get("detail", "")),
            self.clean(told.get("address") or ""),
            self.clean(place),
        )
        self.diagnostics.append(found)
        return f"{found.severity}: {found.sentence()}"

    def _planned(self, change: dict[str, Any]) -> str | None:
        resource, action = change["resource"], change["action"]
        self.moves = self.moves or action != "noop"
        if previous := change.get("previous_resource"):
            self.gone.add(previous["addr"])
        if action in ("remove", "forget"):
            self.gone.add(resource["addr"])
        if action not in _WILL:
            return None
        self.planned.setdefault(resource["addr"], []).append(action)
        return None if self.planned_before else f"{resource['addr']} {_WILL[action]}"


def _progress(kind: str, hook: dict[str, Any]) -> str | None:
    address, action = hook.get("resource", {}).get("addr", ""), hook.get("action", "")
    seconds = hook.get("elapsed_seconds")
    if kind == "apply_start":
        return f"{address}: {_DOING.get(action, action)}"
    if kind == "apply_progress":
        return f"{address}: still {_DOING.get(action, action)}, {seconds:.0f} s so far"
    if kind == "apply_complete":
        return f"{address}: {_DONE.get(action, action)} in {seconds:.0f} s"
    if kind == "apply_errored":
        return f"{address}: {_DOING.get(action, action)} failed after {seconds:.0f} s"
    return None


def error_of(messages: Messages, complaint: str, phase: str) -> CalvinverseError:
    """What went wrong in a run of tofu that failed. `phase` is its command: `init`, `plan`, `apply`, `destroy`, …"""
    errors = messages.errors()
    if not errors:
        text = " ".join(" ".join((*messages.plain, messages.clean(complaint))).split())
        return StepFailed(f"tofu {phase} failed and didn't say why: {text[-LONGEST:] or 'no output'}.")
    first, text = errors[0], _sentences(errors)
    if any(found.summary == _LOCKED for found in errors):
        return BackendUnavailable(
            f"The state of the module is locked by another run: {text}",
            hint="It is tried again by itself; a lock of a run that is gone is broken when its deployment has ended.",
        )
    if any(found.summary.startswith(_PROVIDERS) for found in errors):
        return MachineError(
            f"A provider of the module can't be had: {text}",
            hint="Put it into the mirror of the service (setting `providers`), or let the service reach its registry.",
            details={"diagnostics": [found.sentence() for found in errors]},
        )
    if any("decryption failed" in found.detail or "ncrypt" in found.summary for found in errors):
        return BackendError(
            f"The module's state or plan can't be decrypted: {text}",
            hint="The key of the environment in OpenBao isn't the one that the state was encrypted with.",
        )
    if any(found.summary.startswith(_STATE) for found in errors):
        return _of_state(text)
    if phase in ("init", "plan") and all(not found.address for found in errors) and (first.place or phase == "init"):
        return InvalidTemplate(
            f"The module is wrong: {text}",
            hint="Mend the module and check it with `tofu validate`.",
            details={"problems": [found.sentence() for found in errors]},
        )
    return StepFailed(
        f"tofu {phase} failed: {text}",
        details={"diagnostics": [found.sentence() for found in errors]},
    )


def _of_state(text: str) -> CalvinverseError:
    lower = text.lower()
    if "401" in text or "403" in text or "unauthorized" in lower or "auth" in lower:
        return BackendDenied(f"The service refuses the module its state: {text}")
    if "409" in text or "conflict" in lower:
        return BackendError(f"The service doesn't take the module's state: {text}")
    return BackendUnavailable(f"The module's state can't be reached: {text}")


def _sentences(errors: Iterable[Diagnostic]) -> str:
    found = [error.sentence() for error in errors]
    more = f" And {len(found) - 3} more errors." if len(found) > 3 else ""
    return "; ".join(text.rstrip(".") for text in found[:3]) + "." + more
