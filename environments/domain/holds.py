"""Holds: pauses of destroys by the clock, until an admin decides or their cause is gone. No clock in here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from environments.domain.deadline import warn_at


class HoldKind(StrEnum):
    """Why destroys are held."""

    TOO_MANY = "too_many"
    """More environments than allowed became due at once without notice."""
    CLOCK = "clock"
    """The machine's clock disagrees with another one."""
    RESTORED = "restored"
    """The database was restored from a copy: extensions since the copy may be lost."""
    UNPROVEN = "unproven"
    """What is stored doesn't lead to the deadline that is stored."""


class HoldDecision(StrEnum):
    """How a hold ended."""

    RELEASED = "released"
    CANCELLED = "cancelled"
    ENDED = "ended"
    """By itself: its cause is gone, or nothing that it held is left."""


class Hold(BaseModel):
    """A pause of destroys by the clock. `reason` is for people.

    `cause` names what caused it: of clocks which ones, else what set the deadlines, which may name people and rules.

    The last four fields are None or empty until the hold has ended.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    kind: HoldKind
    cause: str = ""
    opened_at: datetime
    reason: str
    decision: HoldDecision | None = None
    decided_at: datetime | None = None
    decided_by: str = ""
    decision_reason: str = ""


@dataclass(frozen=True)
class HoldLimits:
    """From when on destroys by the clock are held, and how many are queued or running at once.

    Environments that become due without notice within `window` are held if they are more than `above` and more than
    `share` (0 to 1) of the living ones.
    """

    above: int = 10
    share: float = 0.2
    window: timedelta = timedelta(hours=1)
    at_once: int = 64

    def exceeded(self, due: int, living: int) -> bool:
        """Whether so many due ones, of so many living ones, are too many."""
        return due > self.above and due > self.share * living


@dataclass(frozen=True)
class DueFacts:
    """What decides whether a due environment may be destroyed; `cause` says what set its deadline.

    `warned_at`: when a warning of the deadline first reached somebody; where there is no channel, when its event was
    written. `edited`: neither was the environment made with this deadline, nor did a person choose it for this one.
    """

    id: str
    created_at: datetime
    deadline: datetime
    warned_at: datetime | None
    released: bool
    cause: str
    edited: bool = False


SHORT_NOTICE = timedelta(minutes=5)
"""A warning counts if it came so long before the deadline, or for short lifetimes half of the usual notice before."""


def noticed(created: datetime, deadline: datetime, warned_at: datetime | None, *, edited: bool = False) -> bool:
    """Whether the deadline was warned of early enough. A deadline that moves loses its warning.

    `edited`: an edit moved it, so a lifetime that is short by that needs no less notice.
    """
    if warned_at is None:
        return False
    if edited:
        return warned_at <= deadline - SHORT_NOTICE
    usual = deadline - warn_at(created, deadline)
    return warned_at <= deadline - min(SHORT_NOTICE, usual / 2)


@dataclass(frozen=True)
class ClockTrouble:
    """A clock that disagrees with the machine's: which one, and a sentence that says so and what to do."""

    cause: str
    sentence: str


@dataclass(frozen=True)
class ClockMark:
    """What the leader last wrote about its clocks.

    `at` was its wall clock when `steady` seconds had passed since the machine with that `boot` id was started: the
    first time that the leader wrote there, so that small jumps add up. `seen_at` is when it wrote last. `beats` counts
    marks and `database` identifies the database's storage: both tell a restored copy. `restored_at` is when the last
    restoration was found.
    """

    boot: str
    steady: float
    at: datetime
    seen_at: datetime
    beats: int
    database: str = ""
    restored_at: datetime | None = None


def causes(facts: Sequence[DueFacts]) -> str:
    """What set the deadlines, the most frequent first: `37 by owner_policy of ada, 2 by a person`."""
    counted: dict[str, int] = {}
    for fact in facts:
        counted[fact.cause] = counted.get(fact.cause, 0) + 1
    first = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:3]
    named = [f"{count} by {cause}" for cause, count in first]
    rest = len(facts) - sum(count for _, count in first)
    return ", ".join([*named, *([f"{rest} by others"] if rest else [])])
