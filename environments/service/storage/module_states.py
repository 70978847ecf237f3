"""The port to the database: states of OpenTofu modules."""

from datetime import datetime
from typing import Any, NamedTuple, Protocol


class StateVersion(NamedTuple):
    """A version of an OpenTofu module's state. Empty content: the state was deleted.

    `refused` says why it was kept aside; None: it was accepted.
    """

    id: int
    content: bytes
    deployment_id: str
    worker: str
    epoch: int
    written_at: datetime
    refused: str | None


class StateLock(NamedTuple):
    """The holder of the lock on a state, and the lock info that OpenTofu sent. `opened`: see `StateCaller`."""

    lock_id: str
    info: dict[str, Any]
    deployment_id: str
    worker: str
    epoch: int
    opened: int


class ModuleStates(Protocol):
    """States of OpenTofu modules, their locks and run records, by environment id and step."""

    def newest(self, environment_id: str, step: str) -> StateVersion | None:
        """The newest accepted version."""
        ...

    def aside(self, environment_id: str, step: str) -> list[StateVersion]:
        """The versions kept aside since the state was deleted last, oldest first."""
        ...

    def any(self, environment_id: str, step: str) -> bool:
        """Whether there is a state, or one was kept aside since the state was deleted last. Cheap."""
        ...

    def versions(self, environment_id: str, step: str) -> list[StateVersion]:
        """All versions, oldest first, without their content."""
        ...

    def add(self, environment_id: str, step: str, version: StateVersion) -> int:
        """Stores a version under a new id, which is returned; the id in `version` is ignored."""
        ...

    def remove(self, environment_id: str, step: str) -> None:
        """Deletes all versions, the lock and the run record."""
        ...

    def lock(self, environment_id: str, step: str) -> StateLock | None:
        """The holder of the lock."""
        ...

    def set_lock(self, environment_id: str, step: str, lock: StateLock | None, now: datetime) -> None:
        """Sets the holder of the lock, whoever had it; None releases it."""
        ...

    def run_record(self, environment_id: str, step: str) -> bytes | None:
        """The run record, encrypted."""
        ...

    def set_run_record(self, environment_id: str, step: str, content: bytes | None, now: datetime) -> None:
        """Replaces the run record; None deletes it."""
        ...
