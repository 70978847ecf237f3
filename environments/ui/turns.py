"""Who gets a thread next: one person never has all of them, however slow what they ask for is."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from environments.domain.errors import TooManyRequests

EACH = 8
"""Pages of one person that are made side by side; further ones wait."""

EACH_WAITING = 64


class Turns:
    """Used in one event loop."""

    def __init__(self, each: int = EACH, waiting: int = EACH_WAITING) -> None:
        self._each = each
        self._most = each + waiting
        self._here: Counter[str] = Counter()
        self._limits: dict[str, anyio.Semaphore] = {}

    @asynccontextmanager
    async def turn(self, whose: str) -> AsyncIterator[None]:
        """Waits until the person may go on. Raises `TooManyRequests` when too many of their pages wait."""
        if self._here[whose] >= self._most:
            raise TooManyRequests("Too many pages of yours are being made at the moment.", hint="Wait for one of them.")
        self._here[whose] += 1
        limit = self._limits.setdefault(whose, anyio.Semaphore(self._each))
        try:
            async with limit:
                yield
        finally:
            self._here[whose] -= 1
            if not self._here[whose]:
                del self._here[whose], self._limits[whose]
