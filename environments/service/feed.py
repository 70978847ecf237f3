"""Wakes readers when there are new events, and workers when there may be work, so that neither polls the database."""

import threading
import time


class Feed:
    """The id of the newest event. `publish` is called after each commit. Safe to use from any thread."""

    def __init__(self, newest: int = 0) -> None:
        self._newest = newest
        self._woken = 0
        self._changed = threading.Condition()

    def publish(self, event_id: int) -> None:
        """A commit wrote events up to this id; 0 when it wrote none."""
        with self._changed:
            if event_id > self._newest:
                self._newest = event_id
                self._changed.notify_all()

    @property
    def newest(self) -> int:
        """The id of the newest event."""
        return self._newest

    def wait(self, after: int, timeout: float) -> bool:
        """Waits at most `timeout` seconds; True when there are events newer than the id `after`."""
        end = time.monotonic() + timeout
        with self._changed:
            woken = self._woken
            while self._newest <= after and self._woken == woken:
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            return self._newest > after

    def wake(self) -> None:
        """Wakes all waiting threads, for example to stop them."""
        with self._changed:
            self._woken += 1
            self._changed.notify_all()
