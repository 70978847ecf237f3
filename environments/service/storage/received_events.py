"""The port to the database: received events, deliveries, and how far sources have been read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from environments.domain.access import EVERYTHING, Sight
from environments.domain.received_event import NewReceivedEvent, ReceivedEvent, ReceivedState, Source
from environments.domain.webhook_use import WebhookUse
from environments.service.pages import Page


class EventFilter(NamedTuple):
    """Which received events are listed; None: all."""

    source: Source | None = None
    subject: str | None = None
    environment_id: str | None = None
    """Those that are about it, and those with a firing on it."""
    state: ReceivedState | None = None
    event_id: str | None = None


ALL_EVENTS = EventFilter()


@dataclass(frozen=True)
class RefusedDeliveries:
    """How many deliveries to a webhook were refused for one reason within the hour that begins at `hour`."""

    webhook: str
    reason: str
    hour: datetime
    count: int
    last_at: datetime
    last_address: str


class ReceivedEvents(Protocol):
    """Reading and writing received events. An event is added once for each delivery of its origin."""

    def add(
        self,
        event: NewReceivedEvent,
        event_id: str,
        now: datetime,
        *,
        refused: str = "",
        replay_of: str | None = None,
    ) -> tuple[str, bool]:
        """Adds an event, waiting unless it is `refused` for a reason.

        Returns its id and True, or that of the event that the same delivery has become before and False.
        """
        ...

    def add_all(self, events: Sequence[tuple[NewReceivedEvent, str, str]], now: datetime) -> list[tuple[str, bool]]:
        """Likewise for several, each with its id and why it is refused, if it is."""
        ...

    def get(self, event_id: str) -> ReceivedEvent | None:
        """One event."""
        ...

    def known(self, origin: str, delivery: str) -> str | None:
        """The id of the event that a delivery has become; the event itself may be forgotten already."""
        ...

    def all(
        self,
        wanted: EventFilter = ALL_EVENTS,
        *,
        sight: Sight = EVERYTHING,
        usable: Mapping[str, WebhookUse] | None = None,
        limit: int | None = None,
        before: str | None = None,
    ) -> Page[ReceivedEvent]:
        """Events, newest first, at most `limit`, older than the one `before`.

        With a limited sight only those with a firing on an environment in sight, or of a trigger of its subjects.
        Of those that came through webhooks only those of webhooks that are `usable`, each for its repositories.
        Raises `NotFound` for `before`.
        """
        ...

    def waiting(self, limit: int) -> list[ReceivedEvent]:
        """Events that wait, oldest first, at most `limit`.

        In a writing transaction nobody else gets them until it ends; those that somebody else has are left out.
        """
        ...

    def take(self, event_ids: Collection[str]) -> frozenset[str]:
        """Those of these events that still wait; nobody else gets them until the transaction ends."""
        ...

    def later(self, event: ReceivedEvent, kinds: Collection[str]) -> str | None:
        """An event of one of these kinds about the same subject, from the same origin, that happened later."""
        ...

    def finish(self, event_ids: Collection[str], now: datetime) -> None:
        """Those events were matched."""
        ...

    def refuse(self, event_id: str, now: datetime, reason: str) -> None:
        """That event has no effect."""
        ...

    def count_waiting(self) -> int:
        """How many wait."""
        ...

    def count_refused(self, webhook: str, reason: str, address: str, now: datetime, *, count: int = 1) -> None:
        """Counts deliveries that were refused for a reason. Of one hour at most 1000 rows are kept."""
        ...

    def refused(self, webhook: str | None = None, *, limit: int = 100) -> list[RefusedDeliveries]:
        """What was refused, the newest first."""
        ...

    def forget(self, *, events_before: datetime, deliveries_before: datetime) -> int:
        """Deletes some of the events that were received, deliveries and counts from before these moments.

        Events that wait stay, and so do those with a firing that isn't done. Returns how many rows it deleted; call it
        until there are none.
        """
        ...


class SourceCursors(Protocol):
    """How far each source has been read: a text for each of its keys."""

    def get(self, source: str, key: str) -> str | None:
        """What was last set."""
        ...

    def all(self, source: str) -> dict[str, str]:
        """All keys of a source."""
        ...

    def set(self, source: str, key: str, value: str) -> None:
        """Replaces it."""
        ...

    def remove(self, source: str, keys: Sequence[str]) -> None:
        """Forgets keys."""
        ...


class Heartbeats(Protocol):
    """When each environment last said that it is in use."""

    def beat(self, environment_id: str, now: datetime) -> None:
        """It is in use now."""
        ...

    def last(self, environment_id: str) -> datetime | None:
        """When it last said so."""
        ...

    def all(self) -> dict[str, datetime]:
        """Of every environment that ever has."""
        ...
