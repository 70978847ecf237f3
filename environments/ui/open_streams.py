"""The streams of server-sent events that are open: how many there may be, and how long each may last."""

import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping
from typing import Protocol

import anyio

from environments.client import LiveItem
from environments.domain.errors import TooManyRequests

PAUSE = 0.2
"""Seconds between two messages of a stream: what changes within them is shown together."""

LONGEST = 3600.0
"""Seconds after which a stream ends; the browser connects again."""

MOST_OF_PERSON = 40
MOST = 400
"""Streams that are open at once: of one person, with whatever sessions, and of all."""

KEPT = 80
"""Of the places of all, those that only who has few gets."""

FEW = 10

_AT_ONCE = 4
"""Messages that are made side by side, each in a thread; pages have threads of their own."""


class Events(Protocol):
    """Where events come from: `environments.client.LiveEvents`."""

    def events(
        self,
        token: str,
        *,
        after: int | None,
        environment: str | None = None,
        without: Collection[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[LiveItem]:
        """See there."""
        ...


class Streams:
    """The streams that are open. Used in the event loop only."""

    def __init__(self, events: Callable[[], Events], *, pause: float = PAUSE, longest: float = LONGEST) -> None:
        self.events = events
        self.pause = pause
        self.longest = longest
        self._open: Counter[str] = Counter()
        self._ends: set[Callable[[], None]] = set()
        self._threads: anyio.CapacityLimiter | None = None

    @property
    def threads(self) -> anyio.CapacityLimiter:
        """Those in which messages are made."""
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(_AT_ONCE)
        return self._threads

    @contextlib.contextmanager
    def place(self, whose: str, end: Callable[[], None]) -> Iterator[None]:
        """Counts a stream of a person until the block ends; `end` ends it. Raises `TooManyRequests`."""
        if self._open[whose] >= MOST_OF_PERSON:
            raise TooManyRequests(f"{MOST_OF_PERSON} other pages of yours show changes already; this one doesn't.")
        free = MOST - self._open.total()
        if free <= 0 or (free <= KEPT and self._open[whose] >= FEW):
            raise TooManyRequests("Too many pages show changes at the moment; this one doesn't.")
        self._open[whose] += 1
        self._ends.add(end)
        try:
            yield
        finally:
            self._ends.discard(end)
            self._open[whose] -= 1
            if not self._open[whose]:
                del self._open[whose]

    def __len__(self) -> int:
        """How many are open."""
        return self._open.total()

    def close(self) -> None:
        """Ends all of them, so that the server can stop."""
        for end in tuple(self._ends):
            end()
