"""Whether the service can do its work, for any number of askers: one look at a time answers all of them."""

import asyncio
import time
from collections.abc import Callable

import anyio
import anyio.to_thread

KEPT = 2.0
"""Seconds for which an answer is good for who shows no token."""


class Ready:
    """Looks through `look` (part → trouble), which takes seconds when a part is away. Used in one event loop."""

    def __init__(
        self, look: Callable[[], dict[str, str]], *, kept: float = KEPT, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._look = look
        self._kept = kept
        self._monotonic = monotonic
        self._running: asyncio.Task[dict[str, str]] | None = None
        self._limiter: anyio.CapacityLimiter | None = None
        self._found: dict[str, str] = {}
        self._found_at = float("-inf")

    async def troubles(self, *, fresh: bool = False) -> dict[str, str]:
        """Part → trouble; empty: ready. Unless it has to be `fresh`, an answer of the last seconds will do."""
        if not fresh and self._monotonic() - self._found_at < self._kept:
            return dict(self._found)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._once())
        # An asker that leaves doesn't end the look that others wait for.
        return dict(await asyncio.shield(self._running))

    async def _once(self) -> dict[str, str]:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(1)
        self._found = await anyio.to_thread.run_sync(self._look, limiter=self._limiter)
        self._found_at = self._monotonic()
        return self._found
