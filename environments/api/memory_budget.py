"""A memory budget for large request bodies, from their first byte until they are handled."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from environments.domain.errors import TooManyRequests

IDLE = 5.0
"""Seconds without a byte after which a body may be ended in favour of one that arrives."""


class MemoryBudget:
    """A number of bytes for all owners and for each; bytes count when they arrive, not when they are announced."""

    def __init__(self, most: int, each: int, free: int, *, idle: float = IDLE) -> None:
        """Bodies up to `free` bytes don't count."""
        self._most = most
        self._each = each
        self.free = free
        self._idle = idle
        self._allocations: set[Allocation] = set()

    @contextmanager
    def allocation(self, owner: str) -> Iterator["Allocation"]:
        """An allocation for one body, released after the block."""
        allocation = Allocation(self, owner)
        self._allocations.add(allocation)
        try:
            yield allocation
        finally:
            self._allocations.discard(allocation)

    def make_room(self, allocation: "Allocation", size: int) -> bool:
        """Whether the allocation may grow to `size` bytes; idle bodies are ended for it if necessary."""
        if self._fits(allocation, size):
            return True
        for other in sorted(self._allocations - {allocation}, key=lambda found: found.last_byte_at):
            if other.size and other.end_if_idle(self._idle) and self._fits(allocation, size):
                return True
        return False

    def _fits(self, allocation: "Allocation", size: int) -> bool:
        others = [other for other in self._allocations if other is not allocation]
        mine = sum(other.size for other in others if other.owner == allocation.owner)
        return mine + size <= self._each and sum(other.size for other in others) + size <= self._most


class Allocation:
    """The memory of one body; `receiving` is its time limit while it arrives."""

    def __init__(self, budget: MemoryBudget, owner: str) -> None:
        self._budget = budget
        self.owner = owner
        self.size = 0
        self.last_byte_at = asyncio.get_running_loop().time()
        """When its last bytes arrived, by the loop's clock."""
        self.receiving: asyncio.Timeout | None = None
        self._ended = False

    def grow(self, size: int) -> None:
        """Sets the size of the body so far, in bytes. Raises `TooManyRequests`, and `TimeoutError` if it was ended."""
        if self._ended:
            # Bytes that came just before its end: another body has the memory.
            raise TimeoutError
        self.last_byte_at = asyncio.get_running_loop().time()
        if size <= max(self.size, self._budget.free):
            return
        if not self._budget.make_room(self, size):
            raise TooManyRequests("Too many large requests come in at once.", details={"retry_after": 10})
        self.size = size

    def end_if_idle(self, idle: float) -> bool:
        """Ends a body that has received nothing for `idle` seconds and frees its memory; False if it isn't idle."""
        now = asyncio.get_running_loop().time()
        if self.receiving is None or now - self.last_byte_at < idle:
            return False
        ending, self.receiving, self.size = self.receiving, None, 0
        self._ended = True
        if not ending.expired():
            ending.reschedule(now)
        return True
