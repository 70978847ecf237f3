"""The output of tofu with `-json`: lines for people without values, what it did, and its errors."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from environments.domain.cleaning import Cleaner
from environments.providers.opentofu.ports import Output, Settlement

LONGEST = 500
"""Characters of a diagnostic's text that people get to read."""

_BEFORE = frozenset({"version", "log", "init_output"})
"""Types of messages that tofu sends before it works on anything."""

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


@dataclass(frozen=True)
class Diagnostic:
    """A warning or an error of tofu. `place` is a file and a line, `address` a resource; either may lack."""

    severity: str
    summary: str
    detail: str = ""
    address: str = ""
    place: str = ""

    @property
    def bare(self) -> bool:
        """Whether it is of no place in the module and of no resource.

        Messages of tofu itself (state, lock, missing providers) are bare. Texts that a module chose never are; those of
        a provider usually aren't, but may be where a resource is no longer in the module.
        """
        return not self.place and not self.address

    def sentence(self) -> str:
        """Everything in one line: `main.tf:3: restapi_object.a: Unsupported argument: An argument …`."""
        told = (" ".join(text.split()) for text in (self.place, self.address, self.summary, self.detail))
        text = ": ".join(filter(None, told))
        return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


@dataclass
class Messages:
    """Collects the messages of one run. `cleaner` removes the secrets that the run was given."""

    cleaner: Cleaner = field(default=Cleaner(), repr=False)
    planned_before: bool = False
    """Whether the plan has been reported already."""
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
    declared: dict[str, bool] = field(default_factory=dict)
    """The outputs that the module has, by a plan: name → whether it is sensitive."""
    moves: bool = False
    """Whether anything in the state changes, including addresses."""
    walked: bool = False
    """Whether tofu has begun to plan or to apply: it has read the state and found the module valid."""
    diagnostics: list[Diagnostic] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    """Lines that are no JSON: output of a tofu that crashed, or of another program."""

    def take(self, line: bytes) -> str | None:
        """Reads one line of tofu; returns a line for people, or None."""
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
        if kind not in _BEFORE:
            self.walked = True
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
            self.declared = {
                name: output.sensitive
                for name, output in self.outputs.items()
                if message["outputs"][name].get("action") != "delete"
            }
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
        """The text without secrets and without control characters."""
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
