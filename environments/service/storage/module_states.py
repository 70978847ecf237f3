"""The port to the database: states of OpenTofu modules."""

from datetime import datetime
from typing import Any, NamedTuple, Protocol


class StateVersion(NamedTuple):
    """A state of an OpenTofu module as it was written. Empty content: from here on there is none.

    `refused` says why it was kept aside; None: it was taken.
    """

    id: int
    content: bytes
    deployment_id: str
    worker: str
    epoch: int
    written_at: datetime
    refused: str | None


class StateLock(NamedTuple):
    """Who holds the lock on a state, and what OpenTofu said of itself. `opened`: see `StateCaller`."""

    lock_id: str
    info: dict[str, Any]
    deployment_id: str
    worker: str
    epoch: int
    opened: int


class ModuleStates(Protocol):
    """States of OpenTofu modules, their locks and run records, by environment id and step."""

    def newest(self, environment_id: str, step: str) -> StateVersion | None:
        """The newest version that was taken."""
        ...

    def aside(self, environment_id: str, step: str) -> list[StateVersion]:
        """The versions that were kept aside since there was no state the last time, oldest first."""
        ...

    def any(self, environment_id: str, step: str) -> bool:
        """Whether there is a state, or one was kept aside since there was none the last time. Cheap."""
        ...

    def versions(self, environment_id: str, step: str) -> list[StateVersion]:
        """All versions, oldest first, without their content."""
        ...

    def add(self, environment_id: str, step: str, version: StateVersion) -> int:
        """Keeps a version under a new id, which is given; that of `version` doesn't matter."""
        ...

    def remove(self, environment_id: str, step: str) -> None:
        """Deletes all versions, the lock and the run record."""
        ...

    def lock(self, environment_id: str, step: str) -> StateLock | None:
        """Who holds the lock."""
        ...

    def set_lock(self, environment_id: str, step: str, lock: StateLock | None, now: datetime) -> None:
        """Gives the lock to somebody, whoever had it; None: to nobody."""
        ...

    def run_record(self, environment_id: str, step: str) -> bytes | None:
        """The run record, encrypted."""
        ...

    def set_run_record(self, environment_id: str, step: str, content: bytes | None, now: datetime) -> None:
        """Keeps a run record in place of the one before; None: there is none any more."""
        ...
