"""Counts what was tried in vain, by keys such as a person and an address, and refuses more for a while."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from environments.domain.errors import CalvinverseError, TooManyRequests

_REMEMBERED = 10_000
"""Keys that are remembered; beyond that the idlest are forgotten."""


class AttemptCounts:
    """Allows `most` failures of a key within `window`. Of one process; may be used by several threads."""

    def __init__(self, most: int, window: timedelta, clock: Callable[[], datetime]) -> None:
        self._most = most
        self._window = window
        self._clock = clock
        self._failures: OrderedDict[str, deque[datetime]] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def guard(self, failure: type[CalvinverseError], *keys: str) -> Iterator[None]:
        """Counts an error of that class within the block for each of the keys.

        Raises `TooManyRequests` before the block when one of them has failed too often.
        """
        with self._lock:
            for key in keys:
                self._check(key)
        try:
            yield
        except failure:
            with self._lock:
                for key in keys:
                    self._failures.setdefault(key, deque(maxlen=self._most)).append(self._clock())
                    self._failures.move_to_end(key)
                while len(self._failures) > _REMEMBERED:
                    self._failures.popitem(last=False)
            raise

    def _check(self, key: str) -> None:
        failures = self._failures.get(key, deque())
        now = self._clock()
        while failures and now - failures[0] >= self._window:
            failures.popleft()
        if len(failures) >= self._most:
            after = int((failures[0] + self._window - now).total_seconds()) + 1
            raise TooManyRequests(
                "That was wrong too often.",
                hint=f"Try again in {max(1, round(after / 60))} min.",
                details={"retry_after": after},
            )
