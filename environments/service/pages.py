"""Lists come in pages, which have two ends: a number of entries, and a number of bytes.

What people store decides how large an entry is, so that a number alone bounds no answer, and no memory.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")

LARGEST_BYTES = 2 * 1024 * 1024
"""Of a page, about: its entries as they are stored, or as they are shown. One entry is always in it, however large."""


class Page(list[T]):
    """Entries of a list, in order. `more`: it was ended for its bytes, and others may come behind its last one."""

    def __init__(self, entries: Iterable[T] = (), *, more: bool = False) -> None:
        super().__init__(entries)
        self.more = more

    def each(self, make: Callable[[T], U]) -> "Page[U]":
        """Something else made of each entry; ended where this one was."""
        return Page(map(make, self), more=self.more)


def ended_in_time(entries: Iterable[T], size: Callable[[T], int], *, more: bool = False) -> Page[T]:
    """The first of these entries, as many as a page holds by their sizes in bytes; none is taken beyond the next one.

    `more`: whether others come behind all of them.
    """
    taken: Page[T] = Page(more=more)
    room = LARGEST_BYTES
    for entry in entries:
        room -= size(entry)
        if taken and room < 0:
            taken.more = True
            break
        taken.append(entry)
    return taken
