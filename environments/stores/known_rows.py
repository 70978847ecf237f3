"""A cache of environments: a list finds most of them unchanged, and parsing them takes most of its time."""

from collections.abc import Callable, Sequence
from typing import Any

from environments.domain.environment import Environment
from environments.stores.paging import size_of

_MOST_KNOWN = 20_000
"""How many rows are cached; if there are more, the cache is emptied."""

_MOST_KNOWN_BYTES = 32 * 1024 * 1024
"""The same limit in bytes, as they are stored."""

RawRow = tuple[Any, ...]


class KnownRows:
    """A cache of environments by their unparsed rows. Used by several threads.

    A list finds most environments unchanged, and parsing is most of its time. Nothing is forgotten when something
    is written: an environment counts only while its row is the same to the last value.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[RawRow, Environment]] = {}
        self._bytes = 0

    def environments(
        self, rows: Sequence[RawRow], read: Callable[[Sequence[str]], Sequence[Environment]]
    ) -> list[Environment]:
        """The environments of these rows, in order; `read` parses those with the given ids, in the same transaction.

        One that `read` doesn't give is left out.
        """
        if len(self._known) > _MOST_KNOWN or self._bytes > _MOST_KNOWN_BYTES:
            self._known, self._bytes = {}, 0
        known = self._known
        found = {row[0]: seen[1] for row in rows if (seen := known.get(row[0])) is not None and seen[0] == row}
        anew = {environment.id: environment for environment in read([row[0] for row in rows if row[0] not in found])}
        remembered = {row[0]: (row, anew[row[0]]) for row in rows if row[0] in anew}
        known.update(remembered)
        self._bytes += sum(size_of(row) for row, _ in remembered.values())  # includes replaced rows
        return [one for row in rows if (one := found.get(row[0]) or anew.get(row[0])) is not None]
