"""A setting of a backend: how to check it, and the call that makes it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from environments.domain.errors import BackendError
from environments.providers.backend.calls import TITLES, Caller


@dataclass(frozen=True)
class Missing:
    """A setting that is missing or wrong: `what`, `where` (the part), and `fix`, the call that corrects it.

    Environments work without `optional` settings; `lost` says what can't be done then.
    """

    what: str
    where: str
    fix: str
    lost: str = ""

    @property
    def optional(self) -> bool:
        return bool(self.lost)


@dataclass(frozen=True)
class NomadKeys:
    """Where Nomad publishes the keys that sign identities.

    `authority` (PEM) signs Nomad's certificate; empty: whatever the reader trusts already.
    """

    url: str
    authority: str = ""


@dataclass(frozen=True)
class TrustSetting:
    """`method`, `path` and `body` are the call that makes it, and what a person is told to do.

    `rivals` gives the paths of things that must not exist beside it. `advice` is for settings that no call can make.
    `lost` says what can't be done without it, for settings that an existing cluster may lack.
    """

    what: str
    caller: Caller
    method: str
    path: str
    body: dict[str, Any]
    present: Callable[[], bool]
    rivals: Callable[[], list[str]] = list
    advice: str = ""
    lost: str = ""

    @property
    def where(self) -> str:
        return TITLES[self.caller.part]

    @property
    def fix(self) -> str:
        if self.advice:
            return self.advice
        steps = [f"DELETE {self.caller.address}{path}" for path in self.rivals()]
        return ", then ".join([*steps, f"{self.method} {self.caller.address}{self.path} {json.dumps(self.body)}"])

    def make(self) -> None:
        """Removes rivals and makes the call. Raises `BackendError`."""
        if self.advice:
            raise BackendError(f"{self.where} lacks {self.what}.", hint=f"To fix it: {self.advice}.")
        for path in self.rivals():
            self.caller.call("DELETE", path)
        self.caller.call(self.method, self.path, self.body)


def holds(expected: Any, actual: Any) -> bool:
    """Whether everything expected is there; additional values and the order of lists don't matter."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(holds(value, actual.get(key)) for key, value in expected.items())
    if isinstance(expected, list):
        return isinstance(actual, list) and sorted(map(str, expected)) == sorted(map(str, actual))
    return bool(expected == actual)


def written(vault: Caller, what: str, path: str, body: dict[str, Any]) -> TrustSetting:
    """A setting of OpenBao that is read at the path where it is written."""
    return TrustSetting(
        what=what,
        caller=vault,
        method="POST",
        path=path,
        body=body,
        present=lambda: holds(body, (vault.get(path) or {}).get("data")),
    )
