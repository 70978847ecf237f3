"""Readiness of the service: one check at a time answers all concurrent requests."""

import asyncio
import time
from collections.abc import Callable

import anyio
import anyio.to_thread

KEPT = 2.0
"""Seconds for which an answer is good for who shows no token."""


class Ready:
    """Calls `check` (part → trouble), which takes seconds when a part is down. Used in one event loop."""

    def __init__(
        self,
        check: Callable[[], dict[str, str]],
        *,
        kept: float = KEPT,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._check = check
        self._kept = kept
        self._monotonic = monotonic
        self._running: asyncio.Task[dict[str, str]] | None = None
        self._limiter: anyio.CapacityLimiter | None = None
        self._found: dict[str, str] = {}
        self._found_at = float("-inf")

    async def troubles(self, *, fresh: bool = False) -> dict[str, str]:
        """Part → trouble; empty: ready. The result may be a few seconds old unless `fresh` is set."""
        if not fresh and self._monotonic() - self._found_at < self._kept:
            return dict(self._found)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._once())
        # A client that disconnects doesn't cancel the check that others wait for.
        return dict(await asyncio.shield(self._running))

    async def _once(self) -> dict[str, str]:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(1)
        self._found = await anyio.to_thread.run_sync(self._check, limiter=self._limiter)
        self._found_at = self._monotonic()
        return self._found
