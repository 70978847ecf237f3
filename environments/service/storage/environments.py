"""The port to the database: environments."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from environments.domain.environment import DegradedReason, Environment
from environments.domain.lifecycle import State
from environments.service.pages import Page


class Watched(NamedTuple):
    """What is needed to judge whether an environment works. `made`: address → step of its resources of some kind.

    `ended`: address → whether it has completed; None: an early version didn't record it.
    """

    id: str
    name: str
    state: State
    state_since: datetime
    degraded: tuple[DegradedReason, ...]
    made: Mapping[str, str | None]
    ended: Mapping[str, bool | None]


class Environments(Protocol):
    """Reading and writing environments."""

    def add(self, environment: Environment, sealed: bytes | None = None) -> None:
        """Raises what `check_free` raises. `sealed` are the encrypted secret parameters."""
        ...

    def check_free(self, name: str) -> None:
        """Raises `NameTaken` when a live environment has the name, or one that was given up and may be left in part."""
        ...

    def get(self, environment_id: str) -> Environment | None:
        """The one with that id; a name finds nothing."""
        ...

    def named(self, name: str, *, owner: str | None = None) -> Environment | None:
        """The live environment of that name, else the newest ended one; of that owner's, if one is given.

        An id finds nothing. Only for what a person typed.
        """
        ...

    def all(
        self, *, owner: str | None = None, ended: bool = False, limit: int | None = None, before: str | None = None
    ) -> Page[Environment]:
        """Newest first; ended ones only if asked for. At most `limit`, older than the one with the id `before`.

        Raises `UnknownEnvironment` when there is none of that id.
        """
        ...

    def names(self, *, owner: str | None = None, limit: int) -> list[str]:
        """The names of those that aren't ended, the newest first, at most `limit`."""
        ...

    def made_from(self, template: str, digest: str | None = None) -> list[tuple[str, str]]:
        """Name and owner of each that isn't ended and was made from the template (and is to be at that version)."""
        ...

    def change(self, environment_id: str, **values: Any) -> None:
        """Writes the named columns; pydantic values are stored as JSON. `TypeError` for the state: see `set_state`."""
        ...

    def set_state(self, environment_id: str, state: State, since: datetime, **values: Any) -> None:
        """Writes the state and other columns. Only `environments.service.transitions` calls this."""
        ...

    def name_and_state(self, environment_id: str) -> tuple[str, State | None]:
        """For a record that can't be read as a whole. The state is None if even that can't be read."""
        ...

    def sealed(self, environment_id: str) -> bytes | None:
        """The encrypted secret parameters that still wait to be handed to OpenBao."""
        ...

    def due(self, now: datetime, limit: int) -> list[Environment]:
        """Those whose deadline has passed and which nothing destroys yet, and failed destroys to try again.

        At most `limit`, the longest overdue first.
        """
        ...

    def to_warn(self, now: datetime) -> list[Environment]:
        """Live ones with a deadline within the longest notice that were not warned yet."""
        ...

    def to_observe(self, now: datetime, state: State, limit: int) -> list[Environment]:
        """Those in that state whose `observe_at` has come; at most `limit`, the longest overdue first."""
        ...

    def watched(self, kind: str, *, since: datetime | None = None) -> list[Watched]:
        """The ready ones that are managed here, with their present resources of that kind.

        With `since` those of any state that are in it since that moment or later; resources only of ready ones.
        """
        ...

    def next_moment(self) -> datetime | None:
        """The earliest deadline or next attempt among live environments."""
        ...

    def count_by_state(self) -> dict[State, int]:
        """How many environments are in each state that is not an end."""
        ...
