"""Who may go on when: so much at once of each owner and of all; others wait their turn, and too many are refused."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import anyio.to_thread

from environments.domain.errors import TooManyRequests

T = TypeVar("T")


class Turns:
    """Turns of one kind of work. Used in one event loop.

    At most `each` of an owner and `most` of all have a turn; `waiting` of an owner wait for one, up to `patience`
    seconds. Turns are given in the order of asking, and an owner who waits for an own turn keeps nobody else waiting.
    """

    def __init__(self, doing: str, *, each: int, most: int, waiting: int, patience: float) -> None:
        self._doing = doing
        self._each = each
        self._most = most
        self._longest = waiting
        self._patience = patience
        self._running: Counter[str] = Counter()
        self._queue: deque[tuple[str, asyncio.Future[None]]] = deque()

    async def take(self, owner: str) -> None:
        """Returns with a turn, to be given back. Raises `TooManyRequests`."""
        queued = sum(1 for other, _ in self._queue if other == owner)
        if queued == 0 and self._free(owner):
            self._running[owner] += 1
            return
        if queued >= self._longest:
            raise self._too_many(owner)
        turn = asyncio.get_running_loop().create_future()
        self._queue.append((owner, turn))
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.shield(turn)
        except TimeoutError:
            if turn.done():
                return  # it came at the last moment
            raise self._too_many(owner) from None
        except asyncio.CancelledError:
            if turn.done():
                self.give(owner)
            raise
        finally:
            if not turn.done():
                self._queue.remove((owner, turn))
                turn.cancel()

    def give(self, owner: str) -> None:
        """Gives a turn back."""
        self._running[owner] -= 1
        if not self._running[owner]:
            del self._running[owner]
        for entry in list(self._queue):
            if self._free(entry[0]):
                self._queue.remove(entry)
                self._running[entry[0]] += 1
                entry[1].set_result(None)

    @asynccontextmanager
    async def turn(self, owner: str) -> AsyncIterator[None]:
        """A turn while the block runs. Raises `TooManyRequests`."""
        await self.take(owner)
        try:
            yield
        finally:
            self.give(owner)

    def _free(self, owner: str) -> bool:
        return self._running[owner] < self._each and self._running.total() < self._most

    def _too_many(self, owner: str) -> TooManyRequests:
        own = self._running[owner]
        who = f"{own} of {owner}" if own >= self._each else f"{self._running.total()} of all owners"
        return TooManyRequests(
            f"Too many {self._doing} at once: {who} go on, and more wait.",
            details={"retry_after": 10, "each": self._each, "all": self._most},
        )


class Looks:
    """Runs what asks others (plans, looks for drift, secrets, repositories) in threads of its own.

    So it takes no thread from the requests that only read and write the database, nor from authentication.
    """

    def __init__(self, *, each: int = 2, most: int = 8, waiting: int = 8, patience: float = 60.0) -> None:
        self._turns = Turns("plans and looks", each=each, most=most, waiting=waiting, patience=patience)
        self._most = most
        self._limiter: anyio.CapacityLimiter | None = None

    async def run(self, owner: str, call: Callable[[], T]) -> T:
        """What `call` gives, once it is the owner's turn. Raises `TooManyRequests`."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._most)
        async with self._turns.turn(owner):
            return await anyio.to_thread.run_sync(call, limiter=self._limiter)
