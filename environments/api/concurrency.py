"""Limits on work in progress, per owner and in total: further requests wait in a queue, and too many are refused."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import anyio.to_thread

from environments.api.rates import Rate
from environments.domain.errors import TooManyRequests

T = TypeVar("T")

EACH_MINUTE = 240
"""Calls of other systems for one owner. A pipeline that plans and observes 60 environments at once needs 120."""


class OwnerLimiter:
    """Limits how much work of one kind is in progress. Used in one event loop.

    An owner holds at most `each` slots, and all owners together at most `most`. Up to `waiting` requests of an owner
    wait for a slot, for up to `patience` seconds. Slots are given first come, first served; an owner at their own
    limit doesn't delay others.
    """

    def __init__(self, doing: str, *, each: int, most: int, waiting: int, patience: float) -> None:
        self._doing = doing
        self._each = each
        self._most = most
        self._longest = waiting
        self._patience = patience
        self._running: Counter[str] = Counter()
        self._queue: deque[tuple[str, asyncio.Future[None]]] = deque()

    async def acquire(self, owner: str) -> None:
        """Waits for a slot; the caller must release it. Raises `TooManyRequests`."""
        queued = sum(1 for other, _ in self._queue if other == owner)
        if queued == 0 and self._free(owner):
            self._running[owner] += 1
            return
        if queued >= self._longest:
            raise self._too_many(owner)
        slot = asyncio.get_running_loop().create_future()
        self._queue.append((owner, slot))
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.shield(slot)
        except TimeoutError:
            if slot.done():
                return  # the slot came at the last moment
            raise self._too_many(owner) from None
        except asyncio.CancelledError:
            if slot.done():
                self.release(owner)
            raise
        finally:
            if not slot.done():
                self._queue.remove((owner, slot))
                slot.cancel()

    def release(self, owner: str) -> None:
        """Gives a slot back."""
        self._running[owner] -= 1
        if not self._running[owner]:
            del self._running[owner]
        for entry in list(self._queue):
            if self._free(entry[0]):
                self._queue.remove(entry)
                self._running[entry[0]] += 1
                entry[1].set_result(None)

    @asynccontextmanager
    async def slot(self, owner: str) -> AsyncIterator[None]:
        """Holds a slot while the block runs. Raises `TooManyRequests`."""
        await self.acquire(owner)
        try:
            yield
        finally:
            self.release(owner)

    def _free(self, owner: str) -> bool:
        return self._running[owner] < self._each and self._running.total() < self._most

    def _too_many(self, owner: str) -> TooManyRequests:
        own = self._running[owner]
        who = f"{own} of {owner}" if own >= self._each else f"{self._running.total()} of all owners"
        return TooManyRequests(
            f"Too many {self._doing} at once: {who} are in progress, and more wait.",
            details={"retry_after": 10, "each": self._each, "all": self._most},
        )


class BackendCalls:
    """Runs what calls other systems (plans, drift detection, secrets, repositories) in threads of its own.

    Requests that only use the database, and authentication, keep their threads. `each_minute`: calls of one owner,
    waiting or not.
    """

    def __init__(
        self, *, each: int = 2, most: int = 8, waiting: int = 8, patience: float = 60.0, each_minute: int = EACH_MINUTE
    ) -> None:
        self._rate = Rate(each_minute, "plans, observations and other requests that other systems answer")
        self._limiter = OwnerLimiter("slow requests", each=each, most=most, waiting=waiting, patience=patience)
        self._most = most
        self._threads: anyio.CapacityLimiter | None = None

    async def run(self, owner: str, call: Callable[[], T]) -> T:
        """Runs `call` when the owner gets a slot, and returns its result. Raises `TooManyRequests`."""
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(self._most)
        self._rate.count(owner)
        async with self._limiter.slot(owner):
            return await anyio.to_thread.run_sync(call, limiter=self._threads)
