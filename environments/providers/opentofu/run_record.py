"""The run record of a module: what its destroy needs, and which resources may exist although its state has none."""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from environments.domain.errors import BackendError
from environments.providers.opentofu.ports import Module

_FORM = 1


@dataclass(frozen=True)
class RunRecord:
    """A module as it was last run.

    `made` are all addresses that its runs planned to create and haven't destroyed since. `in_flight` are addresses that
    a run planned to create and whose outcome isn't known: after a kill they may exist although the state has none.
    """

    module: Module
    in_flight: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()

    def with_in_flight(self, addresses: Iterable[str]) -> "RunRecord":
        """The same with these addresses in flight."""
        return replace(self, in_flight=frozenset(addresses))

    def matches(self, module: Module) -> bool:
        """Whether the record is of this module: same files, same variables."""
        mine = self.module
        return (dict(mine.files), dict(mine.variables)) == (dict(module.files), dict(module.variables))

    def usable_for(self, module: Module) -> bool:
        """Whether a run with at least the credentials of `module` has come to its end."""
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
    def load(cls, content: bytes) -> "RunRecord":
        """Reads what `dump` gave. Raises `BackendError` for a form of a later version."""
        told = json.loads(content)
        if told.get("form") != _FORM:
            raise BackendError("The run record of the module was saved by another version of Calvinverse.")
        module = Module(
            files={path: base64.b64decode(text) for path, text in told["files"].items()},
            variables=told["variables"],
            encrypted=told["encrypted"],
            parallelism=told["parallelism"],
            lock=base64.b64decode(told["lock"]),
            credentials=tuple(told.get("credentials", ())),
        )
        return cls(module, frozenset(told["in_flight"]), frozenset(told["made"]))
