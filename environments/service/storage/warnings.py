"""The port to the database: the outbox of warnings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol


@dataclass(frozen=True)
class QueuedWarning:
    """A warning of one deadline by one channel to one recipient. Its `id` is the same in all attempts to deliver it.

    `deadline_moves` is that of the environment when it was queued: the warning is void once the deadline has moved,
    also if it moves back. `due_at` is the moment that the template names, `queued_at` when it was queued. `next_try`
    None: it was delivered, or isn't delivered any more, and then `fault` says why. `awaited_since`: from then on the
    environment would be destroyed if this warning were delivered. `link_used_at`: when somebody extended the
    environment by a link for this deadline. All moments are UTC.
    """

    id: str
    environment_id: str
    deadline: datetime
    due_at: datetime
    channel: str
    recipient: str
    queued_at: datetime
    attempts: int = 0
    next_try: datetime | None = None
    delivered_at: datetime | None = None
    fault: str = ""
    awaited_since: datetime | None = None
    link_used_at: datetime | None = None
    deadline_moves: int = 0
    notice: str = ""
    """What a trigger tells, in place of a warning: it has to do with no deadline, and `deadline` is its moment."""


class ChannelCount(NamedTuple):
    """How many warnings of a channel wait for their delivery, and how many of those have failed at least once."""

    waiting: int
    failing: int


class Warnings(Protocol):
    """The outbox of warnings."""

    def add(self, warnings: Sequence[QueuedWarning]) -> None:
        """Adds warnings."""
        ...

    def get(self, warning_id: str) -> QueuedWarning | None:
        """One warning."""
        ...

    def of(self, environment_id: str, deadline: datetime) -> list[QueuedWarning]:
        """All warnings of a deadline of an environment, oldest first."""
        ...

    def change(self, warning_id: str, **values: Any) -> None:
        """Writes the named fields of a warning."""
        ...

    def replace(self, environment_id: str, fault: str) -> None:
        """Ends the delivery of all warnings of an environment that are still to be delivered; notices stay."""
        ...

    def use_link(self, environment_id: str, deadline_moves: int, now: datetime) -> None:
        """Notes for all warnings of a deadline, as set at one time, that somebody has used a link."""
        ...

    def tried(self, environment_id: str, *, before: int) -> dict[tuple[str, str], datetime]:
        """When warnings of deadlines before the move `before` were last delivered, or queued and tried.

        By channel and recipient.
        """
        ...

    def to_send(self, now: datetime, limit: int, channel: str | None = None) -> list[QueuedWarning]:
        """Warnings whose next attempt is due, at most `limit`, the longest overdue first."""
        ...

    def channels_due(self, now: datetime) -> list[str]:
        """Channels with warnings whose next attempt is due."""
        ...

    def awaited(self, now: datetime) -> list[QueuedWarning]:
        """Undelivered warnings whose deadline has come, as long as `awaited_since` isn't set."""
        ...

    def counts(self) -> dict[str, ChannelCount]:
        """What waits, by channel."""
        ...

    def faults(self) -> dict[str, str]:
        """The newest fault of each channel with warnings that wait."""
        ...
