"""Writes what several threads bring in one transaction: while one commits, what others bring waits for the next."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from environments.domain.errors import DatabaseUnavailable, StorageError
from environments.service.storage.transaction import Storage, Transaction

MOST = 50
"""Pieces of work in one transaction."""

LONGEST = 60.0
"""Seconds that a piece waits for whoever writes before it."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Piece(Generic[Item, Result]):
    def __init__(self, item: Item) -> None:
        self.item = item
        self.ended = threading.Event()
        self.leads = False
        self.result: Result | None = None
        self.error: BaseException | None = None


class Together(Generic[Item, Result]):
    """A thread that finds nobody writing writes its own item and all that wait; others wait for it.

    Each item is written as a whole or not at all; an error of one isn't seen by the others.
    """

    def __init__(self, storage: Storage, work: Callable[[Transaction, Sequence[Item]], Sequence[Result]]) -> None:
        """`work` writes items; it returns a result for each. It may run again with fewer of them."""
        self._storage = storage
        self._work = work
        self._lock = threading.Lock()
        self._waiting: list[_Piece[Item, Result]] = []
        self._busy = False

    def write(self, item: Item) -> Result:
        """The result for an item, once it is committed. Raises what `work` raises for it, and `StorageError`."""
        piece: _Piece[Item, Result] = _Piece(item)
        with self._lock:
            self._waiting.append(piece)
            if not self._busy:
                self._busy = piece.leads = True
        if not piece.leads and not piece.ended.wait(LONGEST):
            self._give_up(piece)
        if piece.leads:
            self._lead()
        if piece.error is not None:
            raise piece.error
        return piece.result  # type: ignore[return-value]  # it has ended without an error

    def _give_up(self, piece: _Piece[Item, Result]) -> None:
        """Raises `DatabaseUnavailable` for a piece that nobody has begun with."""
        with self._lock:
            waits = piece in self._waiting and not piece.leads
            if waits:
                self._waiting.remove(piece)
        if waits or not piece.ended.wait(LONGEST):
            raise DatabaseUnavailable("The database takes too long: others still write.")

    def _lead(self) -> None:
        """Writes what waits, at most so much, and lets the next one that waits lead."""
        with self._lock:
            pieces = self._waiting[:MOST]
            del self._waiting[:MOST]
        try:
            self._commit(pieces)
        finally:
            with self._lock:
                self._busy = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].leads = True
                    self._waiting[0].ended.set()
            for piece in pieces:
                piece.ended.set()

    def _commit(self, pieces: list[_Piece[Item, Result]]) -> None:
        try:
            with self._storage.write() as tx:
                results = self._work(tx, [piece.item for piece in pieces])
            for piece, result in zip(pieces, results, strict=True):
                piece.result = result
        except Exception as error:  # noqa: BLE001 - it is raised where the work came from
            if len(pieces) == 1 or isinstance(error, StorageError):
                for piece in pieces:
                    piece.error = error
                return
            for piece in pieces:
                self._commit([piece])
