"""The port to the database: environments."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from environments.domain.access import EVERYTHING, Sight
from environments.domain.environment import DegradedReason, Environment
from environments.domain.lifecycle import State
from environments.service.pages import Page
from environments.service.selection import Order, Place, Selection


class Watched(NamedTuple):
    """What it takes to judge whether an environment works. `made`: address → step, for its resources of one kind.

    `ended`: address → whether it has completed; None: an early version didn't record it.
    """

    id: str
    name: str
    state: State
    state_since: datetime
    degraded: tuple[DegradedReason, ...]
    made: Mapping[str, str | None]
    ended: Mapping[str, bool | None]


class Counted(NamedTuple):
    """How many environments there are by state, and how many of them a person should look at."""

    states: Mapping[State, int]
    attention: int


class Environments(Protocol):
    """Reading and writing environments."""

    def add(self, environment: Environment, sealed: bytes | None = None) -> None:
        """Adds an environment. Raises what `check_free` raises. `sealed` has the encrypted secret parameters."""
        ...

    def check_free(self, name: str) -> None:
        """Raises `NameTaken` when a live environment has the name, or an abandoned one that may have left something."""
        ...

    def get(self, environment_id: str) -> Environment | None:
        """The environment with that id; doesn't accept a name."""
        ...

    def of_ids(self, environment_ids: Sequence[str]) -> list[Environment]:
        """Those of these environments that there are and whose record can be read, in no order. Locks nothing."""
        ...

    def named(self, name: str, *, sight: Sight = EVERYTHING) -> Environment | None:
        """The live environment of that name, else the newest ended one; only one that is in sight.

        Doesn't accept an id. Only for what a person typed.
        """
        ...

    def all(
        self,
        *,
        sight: Sight = EVERYTHING,
        owner: str | None = None,
        ended: bool = False,
        limit: int | None = None,
        before: str | None = None,
    ) -> Page[Environment]:
        """Environments in sight (of that owner), newest first, ended ones only with `ended`: see `selected`."""
        ...

    def selected(
        self,
        sight: Sight,
        which: Selection,
        *,
        order: Order = Order.CREATED,
        descending: bool = True,
        after: Place | None = None,
        limit: int | None = None,
        before: str | None = None,
    ) -> Page[Environment]:
        """Environments in sight of a selection, in an order (newest first), behind a place; at most `limit`.

        Older than the one `before`, which may have ended since. Raises `UnknownEnvironment` when there is none.
        """
        ...

    def counted(self, sight: Sight, which: Selection) -> Counted:
        """How many environments in sight a selection has."""
        ...

    def names(self, *, sight: Sight = EVERYTHING, limit: int) -> list[str]:
        """The names of environments that haven't ended, newest first, at most `limit`."""
        ...

    def made_from(self, template: str, digest: str | None, *, sight: Sight) -> tuple[list[str], int]:
        """Environments of the template (and that version of it) that haven't ended.

        The names of those that are in sight, and how many there are.
        """
        ...

    def at_versions(self, template: str, *, sight: Sight) -> dict[str, int]:
        """Digest of a version of the template → how many environments in sight are at it and haven't ended."""
        ...

    def visible(self, sight: Sight, environment_ids: Collection[str]) -> frozenset[str]:
        """Which of these environments are in sight."""
        ...

    def change(self, environment_id: str, **values: Any) -> None:
        """Writes the named columns; pydantic values are stored as JSON. `TypeError` for the state: see `set_state`."""
        ...

    def set_state(self, environment_id: str, state: State, since: datetime, **values: Any) -> None:
        """Writes the state and other columns. Only `environments.service.transitions` calls this."""
        ...

    def name_and_state(self, environment_id: str) -> tuple[str, State | None]:
        """Name and state from a record that can't be read as a whole. The state is None if even that can't be read."""
        ...

    def sealed(self, environment_id: str) -> bytes | None:
        """The encrypted secret parameters that haven't been written to OpenBao yet."""
        ...

    def mark_to_retime(
        self, why: str, *, owner: str | None = None, template: str | None = None, environment_id: str | None = None
    ) -> None:
        """Deadlines of living environments have to be computed again, because of `why` (a sentence without a stop).

        All of them, or only those of the owner, those made from the template, or that one. Until that is done they
        aren't due, and `to_warn` leaves them out.
        """
        ...

    def to_retime(self, limit: int) -> list[tuple[Environment, str]]:
        """Environments that were marked, with why, at most `limit`. Those that somebody changes now are left out."""
        ...

    def retimed(self, environment_id: str) -> None:
        """Takes the mark away."""
        ...

    def keep_mark(self, environment_id: str) -> None:
        """Leaves the mark, but `to_retime` gives it no more: it can't be computed, and its deadline holds as stored."""
        ...

    def retime_kept(self) -> None:
        """Lets `to_retime` give those again whose marks were kept."""
        ...

    def living(
        self, *, owner: str | None = None, template: str | None = None, after: str = "", limit: int
    ) -> list[Environment]:
        """Living environments that this service manages, by id, behind the id `after`: at most `limit`."""
        ...

    def count_unended(self, owner: str, template: str) -> int:
        """How many of the template's environments an owner has, those that are being destroyed among them."""
        ...

    def count_living(self, *, owner: str | None = None, template: str | None = None) -> int:
        """How many there are."""
        ...

    def due(self, now: datetime, ids: Sequence[str]) -> list[Environment]:
        """Of these environments, those whose deadline has passed and that aren't held, in the order of deadlines.

        In a writing transaction they can't change until it ends; those that somebody changes now are left out.
        """
        ...

    def to_destroy_again(self, now: datetime, limit: int) -> list[Environment]:
        """Environments whose failed destroy is due for a retry; at most `limit`, the longest overdue first."""
        ...

    def to_warn(self, now: datetime, limit: int) -> list[Environment]:
        """Live environments whose next warning is due; at most `limit`, the earliest deadline first."""
        ...

    def to_switch(self, now: datetime, limit: int, *, not_since: datetime | None = None) -> list[Environment]:
        """Environments without a deployment whose next stop or start by the calendar has passed.

        Only ready, stopped and failed ones; at most `limit`, the longest overdue first. With `not_since` without those
        of which the calendar asked for a stop or a start after that moment.
        """
        ...

    def to_switch_again(self, now: datetime, limit: int) -> list[Environment]:
        """Likewise: failed ones whose stop or start is to be tried again."""
        ...

    def to_observe(self, now: datetime, state: State, limit: int) -> list[Environment]:
        """Environments in that state whose `observe_at` has passed; at most `limit`, the longest overdue first."""
        ...

    def watched(self, kind: str, *, since: datetime | None = None) -> list[Watched]:
        """Ready environments that this service manages, with their present resources of that kind.

        With `since`, environments of any state that have entered it since that moment; only ready ones with resources.
        """
        ...

    def next_moment(self, after: datetime) -> datetime | None:
        """The earliest deadline, warning, retry, stop or start among live environments after a moment."""
        ...

    def count_by_state(self) -> dict[State, int]:
        """How many environments are in each state that isn't final."""
        ...
