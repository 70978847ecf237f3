"""Crashes of a worker, in the process of the test."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from environments.engine.fault_injection import FaultInjection
from environments.service.storage.transaction import Storage, Transaction


class Dead(BaseException):
    """What a call of a crashed process would have been."""


class CrashInjection(FaultInjection):
    """Lets a worker run until `crash`: then nothing of it touches the database any more, and all its threads end."""

    def __init__(self) -> None:
        self._crashed = threading.Event()
        self._threads: list[tuple[threading.Thread, Callable[[], None]]] = []

    def storage(self, storage: Storage) -> Storage:
        return _MortalStorage(storage, self._crashed)

    def started(self, thread: threading.Thread, wake: Callable[[], None]) -> None:
        self._threads.append((thread, wake))

    def crash(self) -> None:
        """Returns when the threads have ended, those too that others start meanwhile."""
        self._crashed.set()
        for thread, wake in self._threads:  # grows while lanes begin what they have claimed
            wake()
            if thread is not threading.current_thread():
                thread.join(timeout=120)


class _MortalStorage:
    """A database until the process that uses it has crashed; from then on every transaction raises `Dead`."""

    def __init__(self, storage: Storage, crashed: threading.Event) -> None:
        self._storage = storage
        self._crashed = crashed

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        self._survive()
        with self._storage.write() as tx:
            yield tx

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        self._survive()
        with self._storage.read() as tx:
            yield tx

    def _survive(self) -> None:
        if self._crashed.is_set():
            raise Dead
