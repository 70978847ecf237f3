"""The memory that large bodies share while they come in and are worked on."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from environments.domain.errors import TooManyRequests

IDLE = 5.0
"""Seconds without a byte after which a body gives way to one that comes."""


class Room:
    """So many bytes for all, and so many for each owner; taken as bytes come, not as they are announced."""

    def __init__(self, most: int, each: int, free: int, *, idle: float = IDLE) -> None:
        """Bodies up to `free` bytes take no room."""
        self._most = most
        self._each = each
        self.free = free
        self._idle = idle
        self._parts: set[Part] = set()

    @contextmanager
    def part(self, owner: str) -> Iterator["Part"]:
        """What one body takes; it is free again after the block."""
        part = Part(self, owner)
        self._parts.add(part)
        try:
            yield part
        finally:
            self._parts.discard(part)

    def has(self, part: "Part", size: int) -> bool:
        """Whether the part may have so many bytes; bodies that don't come on are ended for it."""
        if self._fits(part, size):
            return True
        for other in sorted(self._parts - {part}, key=lambda found: found.came):
            if other.size and other.give_way(self._idle) and self._fits(part, size):
                return True
        return False

    def _fits(self, part: "Part", size: int) -> bool:
        others = [other for other in self._parts if other is not part]
        mine = sum(other.size for other in others if other.owner == part.owner)
        return mine + size <= self._each and sum(other.size for other in others) + size <= self._most


class Part:
    """What one body takes; it is `coming` from its start until all of it is there."""

    def __init__(self, room: Room, owner: str) -> None:
        self._room = room
        self.owner = owner
        self.size = 0
        self.came = asyncio.get_running_loop().time()
        """When its last bytes came, by the loop's clock."""
        self.coming: asyncio.Timeout | None = None

    def grow(self, size: int) -> None:
        """The body has `size` bytes by now. Raises `TooManyRequests`."""
        self.came = asyncio.get_running_loop().time()
        if size <= max(self.size, self._room.free):
            return
        if not self._room.has(self, size):
            raise TooManyRequests("Too many large requests come in at once.", details={"retry_after": 10})
        self.size = size

    def give_way(self, idle: float) -> bool:
        """Ends a body of which nothing came for `idle` seconds; its room is free at once. False if it comes on."""
        now = asyncio.get_running_loop().time()
        if self.coming is None or now - self.came < idle:
            return False
        ending, self.coming, self.size = self.coming, None, 0
        if not ending.expired():
            ending.reschedule(now)
        return True
