"""Pages of lists, limited by a number of entries and a number of bytes.

Entries can be large, so a number of entries alone doesn't limit answers or memory.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from pydantic_core import to_json

T = TypeVar("T")
U = TypeVar("U")

LARGEST_BYTES = 2 * 1024 * 1024
"""Approximate limit of a page in bytes, as stored or as shown. A page has at least one entry, however large that is."""


class Page(list[T]):
    """Entries of a list, in order. `more`: the page ended at the limit of bytes, and more entries may follow."""

    def __init__(self, entries: Iterable[T] = (), *, more: bool = False) -> None:
        super().__init__(entries)
        self.more = more

    def each(self, make: Callable[[T], U]) -> "Page[U]":
        """A page with each entry converted."""
        return Page(map(make, self), more=self.more)


def shown_size(entry: object) -> int:
    """The approximate size in bytes of a model or a dataclass in the API."""
    return len(to_json(entry))


def ended_in_time(entries: Iterable[T], size: Callable[[T], int], *, more: bool = False) -> Page[T]:
    """The first of these entries that fit into a page by their sizes in bytes. At most one further entry is read.

    `more`: whether more entries follow all of them.
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
