"""The kit of a module: all that its destroy needs, and what may have been made without the state knowing it."""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from environments.domain.errors import BackendError
from environments.providers.opentofu.ports import Module

_FORM = 1


@dataclass(frozen=True)
class Kit:
    """A module as it was last run.

    `made` are all addresses that its runs were about to make and haven't taken away since. `in_flight` are addresses
    that a run was about to make and that no later look at the state has settled: after a kill they may exist without
    the state knowing it.
    """

    module: Module
    in_flight: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()

    def flying(self, addresses: Iterable[str]) -> "Kit":
        """The same with these addresses in flight."""
        return replace(self, in_flight=frozenset(addresses))

    def runs(self, module: Module) -> bool:
        """Whether this is what the kit was made for: same files, same variables."""
        mine = self.module
        return (dict(mine.files), dict(mine.variables)) == (dict(module.files), dict(module.variables))

    def equips(self, module: Module) -> bool:
        """Whether it was run to an end, with at least these credentials."""
        first = bool(self.in_flight) and self.made <= self.in_flight
        return not first and set(module.credentials) <= set(self.module.credentials)

    def dump(self) -> bytes:
        """As bytes; they hold the variables, so they have to be sealed."""
        module = self.module
        return json.dumps(
            {
                "form": _FORM,
                "files": {path: base64.b64encode(content).decode() for path, content in module.files.items()},
                "variables": dict(module.variables),
                "encrypted": module.encrypted,
                "parallelism": module.parallelism,
                "lock": base64.b64encode(module.lock).decode(),
                "credentials": list(module.credentials),
                "in_flight": sorted(self.in_flight),
                "made": sorted(self.made),
            }
        ).encode()

    @classmethod
    def load(cls, content: bytes) -> "Kit":
        """Reads what `dump` gave. Raises `BackendError` for a form of a later version."""
        told = json.loads(content)
        if told.get("form") != _FORM:
            raise BackendError("The kit of the module was saved by another version of Calvinverse.")
        module = Module(
            files={path: base64.b64decode(text) for path, text in told["files"].items()},
            variables=told["variables"],
            encrypted=told["encrypted"],
            parallelism=told["parallelism"],
            lock=base64.b64decode(told["lock"]),
            credentials=tuple(told.get("credentials", ())),
        )
        return cls(module, frozenset(told["in_flight"]), frozenset(told["made"]))
