"""The port to the database: holds of destroys by the clock, and the leader's mark of its clocks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from environments.domain.access import EVERYTHING, Sight
from environments.domain.holds import ClockMark, DueFacts, Hold, HoldDecision
from environments.service.pages import Page


class Holds(Protocol):
    """Reading and writing holds. A held environment isn't destroyed by the clock until its hold is released."""

    def add(self, hold: Hold) -> None:
        """Adds an open hold; there is at most one of a kind."""
        ...

    def open(self) -> list[Hold]:
        """The holds that nobody has decided, oldest first.

        In a writing transaction nobody decides them until it ends.
        """
        ...

    def get(self, hold_id: str) -> Hold | None:
        """The hold of that id. In a writing transaction nobody else decides it until the transaction ends."""
        ...

    def all(self, *, ended: bool = True, limit: int | None = None, before: str | None = None) -> Page[Hold]:
        """Holds, newest first, those that have `ended` too; at most `limit`, older than the one `before`.

        Raises `NotFound` for that one.
        """
        ...

    def released(self, cause: str, since: datetime) -> bool:
        """Whether a hold because of that clock was released since a moment."""
        ...

    def decide(self, hold_id: str, decision: HoldDecision, by: str, at: datetime, reason: str) -> None:
        """Ends an open hold."""
        ...

    def hold(self, environment_ids: Sequence[str], hold_id: str, now: datetime) -> set[str]:
        """Holds those of these environments that are still due, for their present deadlines; returns their ids.

        Those that somebody changes now are left out.
        """
        ...

    def held(self, hold_id: str, *, sight: Sight = EVERYTHING, limit: int) -> list[str]:
        """Ids of living environments that the hold still holds, in the order of their deadlines; at most `limit`."""
        ...

    def count(self, hold_id: str, *, sight: Sight = EVERYTHING) -> int:
        """How many living environments the hold still holds, of those that are seen."""
        ...

    def release(self, hold_id: str) -> None:
        """Lets the clock destroy what the hold holds."""
        ...

    def let_go(self, hold_id: str) -> None:
        """Ends the hold of its environments as if it had never been."""
        ...

    def due(self, now: datetime, limit: int | None, *, awaited_until: datetime | None = None) -> list[DueFacts]:
        """Living environments whose deadline has passed and that aren't held; at most `limit`.

        The longest overdue come first. Those whose deadline has to be computed again are left out. So are those whose
        warning is still to be delivered, unless it has been awaited since `awaited_until` or longer; None: all that
        have no warning to be delivered.
        """
        ...

    def living(self) -> int:
        """How many environments the clock may destroy, now or later."""
        ...

    def destroyed(self, since: datetime) -> list[DueFacts]:
        """Environments whose destroy the clock requested since a moment."""
        ...

    def destroying(self) -> int:
        """How many destroys by the clock are queued or running."""
        ...

    def distrust_warnings(self, now: datetime) -> int:
        """Makes warnings of living environments count as not sent: they are sent again. Returns how many."""
        ...

    def mark(self) -> ClockMark | None:
        """The leader's last mark."""
        ...

    def set_mark(self, mark: ClockMark) -> None:
        """Replaces the mark."""
        ...

    def forget(self, before: datetime) -> int:
        """Deletes holds that ended before a moment."""
        ...
