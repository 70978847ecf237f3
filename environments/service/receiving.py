"""Receives events: each is stored once, whatever process it comes to, and waits there for the leader."""

from collections.abc import Callable, Sequence
from datetime import datetime

from environments.domain.received_event import KINDS, MOST_HOPS, NewReceivedEvent
from environments.service.storage.transaction import Storage, Transaction


class Receiving:
    """Stores what sources tell. Nothing is done about it here: the service may die right after."""

    def __init__(
        self,
        storage: Storage,
        clock: Callable[[], datetime],
        new_id: Callable[[str], str],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """`wake` is called when something new was stored."""
        self._storage = storage
        self._clock = clock
        self._new_id = new_id
        self.wake = wake

    def receive(self, new: Sequence[NewReceivedEvent]) -> list[tuple[str, bool]]:
        """Stores events; returns the id of each and whether it is new. Raises `StorageError`.

        An event whose delivery is known keeps the id that it got the first time.
        """
        if not new:
            return []
        with self._storage.write() as tx:
            stored = self.receive_in(tx, new)
        if any(fresh for _, fresh in stored):
            self.wake()
        return stored

    def receive_in(self, tx: Transaction, new: Sequence[NewReceivedEvent]) -> list[tuple[str, bool]]:
        """Likewise, in the caller's transaction, such as one that also moves the cursor of a source."""
        return tx.received.add_all([(event, self._new_id("evt"), _why_refused(event)) for event in new], self._clock())


def _why_refused(event: NewReceivedEvent) -> str:
    if event.hops > MOST_HOPS:
        return f"it ends a chain of {MOST_HOPS} triggers, each of which caused the next"
    if event.kind not in KINDS[event.source]:
        return f"nothing is known of {event.source.value} {event.kind}"
    return ""
