"""Counts deliveries that were refused or left, and writes the counts down about once a second.

A flood of them makes a row for each webhook, reason and hour, and no answer waits for that.
"""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from environments.service.storage.transaction import Storage

MOST_WAITING = 1000
"""Counts that wait to be written; further ones are lost until there is room."""

UNKNOWN = ""
"""In place of the name of a webhook that there isn't."""


class Counted(NamedTuple):
    """How many there were since the last writing, the last one's moment and address."""

    number: int
    at: datetime
    address: str


class RefusedCounts:
    """May be used by several threads. `write` is called by a thread of the process, and before counts are read."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._clock = clock
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._counts: dict[tuple[str, str], Counted] = {}
        self._seen: dict[str, datetime] = {}

    def note(self, webhook: str, reason: str, address: str) -> None:
        """Counts a delivery to a webhook, or to `UNKNOWN`, that was refused or left for a reason."""
        key = webhook, reason
        with self._lock:
            known = self._counts.get(key)
            if known is not None or len(self._counts) < MOST_WAITING:
                self._counts[key] = Counted(1 if known is None else known.number + 1, self._clock(), address)

    def seen(self, webhook: str) -> None:
        """Notes that a delivery to a webhook was signed as it must be."""
        with self._lock:
            if webhook in self._seen or len(self._seen) < MOST_WAITING:
                self._seen[webhook] = self._clock()

    def write(self) -> None:
        """Writes what was counted. Raises `StorageError`; then it is written the next time."""
        with self._writing:
            with self._lock:
                counts, self._counts = self._counts, {}
                seen, self._seen = self._seen, {}
            if not counts and not seen:
                return
            try:
                with self._storage.write() as tx:
                    for (webhook, reason), one in counts.items():
                        tx.received.count_refused(webhook, reason, one.address, one.at, count=one.number)
                    for webhook, at in seen.items():
                        tx.webhooks.change(webhook, last_at=at)
            except BaseException:
                self._put_back(counts, seen)
                raise

    def _put_back(self, counts: dict[tuple[str, str], Counted], seen: dict[str, datetime]) -> None:
        with self._lock:
            for key, one in counts.items():
                newer = self._counts.get(key)
                if newer is not None:
                    self._counts[key] = newer._replace(number=newer.number + one.number)
                elif len(self._counts) < MOST_WAITING:
                    self._counts[key] = one
            self._seen = seen | self._seen
