"""Use cases of received events: list and show them, with what they led to, and replay one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from environments.domain.errors import NotAllowedNow, NotFound
from environments.domain.received_event import NewReceivedEvent, ReceivedEvent, ReceivedState, Source
from environments.domain.trigger import Firing
from environments.service.authorization import Action, Principal, environment_to_read, may
from environments.service.firing_sight import environments_in_sight, firings_in_sight
from environments.service.pages import Page
from environments.service.storage.received_events import EventFilter
from environments.service.storage.transaction import Storage, Transaction
from environments.service.webhook_using import usable

SHOWN_FIRINGS = 200
"""Firings that are shown with an event; more are counted."""

_FORGOTTEN = "Events are kept for 30 days: see `calvinverse event list`."


@dataclass(frozen=True)
class EventDetails:
    """A received event, and the first of its firings that the caller sees; `more`: how many further ones."""

    event: ReceivedEvent
    firings: Sequence[Firing] = ()
    more: int = 0


class EventReading:
    """Admins and auditors see every event; others those that led to a firing which they see, or of their own trigger.

    Of those that came through a webhook only those of webhooks that they may use now, for the repository.
    What an event says of an environment that somebody doesn't see is left out for them.
    """

    def __init__(
        self,
        storage: Storage,
        clock: Callable[[], datetime],
        new_id: Callable[[str], str],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """`wake` is called when an event was replayed."""
        self._storage = storage
        self._clock = clock
        self._new_id = new_id
        self._wake = wake

    def all(
        self,
        principal: Principal,
        *,
        source: Source | None = None,
        subject: str | None = None,
        environment: str | None = None,
        state: ReceivedState | None = None,
        limit: int | None = None,
        before: str | None = None,
    ) -> Page[ReceivedEvent]:
        """Newest first. Raises `NotFound` for `before`, `UnknownEnvironment`."""
        with self._storage.read() as tx:
            environment_id = None
            if environment is not None:
                environment_id = environment_to_read(tx, principal, environment).id
            wanted = EventFilter(source=source, subject=subject, environment_id=environment_id, state=state)
            found = tx.received.all(
                wanted, sight=principal.sight, usable=usable(tx, principal), limit=limit, before=before
            )
            return Page(_masked(tx, principal, found), more=found.more)

    def one(self, principal: Principal, event_id: str) -> EventDetails:
        """One event. Raises `NotFound`, also for one that the principal may not see."""
        with self._storage.read() as tx:
            wanted = EventFilter(event_id=event_id)
            found = tx.received.all(wanted, sight=principal.sight, usable=usable(tx, principal))
            if not found:
                raise NotFound(f"There is no received event {event_id!r}.", hint=_FORGOTTEN)
            firings = firings_in_sight(tx, principal, tx.firings.of_event(event_id))
            shown = firings[:SHOWN_FIRINGS]
            return EventDetails(_masked(tx, principal, found)[0], shown, len(firings) - len(shown))

    def replay(self, principal: Principal, event_id: str) -> ReceivedEvent:
        """A new event that says the same, which triggers are matched with as they are now. Admins only.

        Raises `Forbidden`, `NotFound`, `NotAllowedNow` for one that was refused.
        """
        now = self._clock()
        with self._storage.write() as tx:
            may(tx, principal, Action.EVENT_REPLAY)
            event = tx.received.get(event_id)
            if event is None:
                raise NotFound(f"There is no received event {event_id!r}.", hint=_FORGOTTEN)
            if event.state is ReceivedState.REFUSED:
                raise NotAllowedNow(
                    f"The event {event.id} was refused: {event.reason}.",
                    hint="It would be refused again; `calvinverse event show` has what it says.",
                )
            new_id = self._new_id("evt")
            told = event.model_dump(include=set(NewReceivedEvent.model_fields)) | {"delivery": f"replay {new_id}"}
            tx.received.add(NewReceivedEvent.model_validate(told), new_id, now, replay_of=event.id)
            tx.audit.changed(
                after={"event": new_id}, object_kind="event", object_id=event.id, object_name=event.subject
            )
            made = tx.received.get(new_id)
        assert made is not None
        self._wake()
        return made


def _masked(tx: Transaction, principal: Principal, events: Sequence[ReceivedEvent]) -> list[ReceivedEvent]:
    """The events without what they say of environments that the principal doesn't see."""
    if principal.sight.unlimited:
        return list(events)
    seen = environments_in_sight(tx, principal, {one.environment_id for one in events if one.environment_id})
    hidden: dict[str, Any] = {"subject": "", "fields": {}, "environment_id": None, "reason": ""}
    return [
        one if one.environment_id is None or one.environment_id in seen else one.model_copy(update=hidden)
        for one in events
    ]
