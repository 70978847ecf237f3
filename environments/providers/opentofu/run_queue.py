"""Which run of tofu starts next: a limited number at once in a process, in the order in which they were queued."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

POLL_INTERVAL = 0.1
"""Seconds between two checks whether a queued run may start."""


class _Entry:
    def __init__(self, reads: bool) -> None:
        self.reads = reads


class RunQueue:
    """At most `most` runs at once. Each takes 150 MB and more, so this limits the memory of a process.

    Where `most` is above one, runs that only read leave one slot to those that change something.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._most_reading = max(1, most - 1)
        self._running: list[_Entry] = []
        self._waiting: list[_Entry] = []
        self._guard = threading.Lock()

    @contextmanager
    def slot(
        self, *, reads: bool, wait: Callable[[float], None], say: Callable[[str], None] = lambda line: None
    ) -> Iterator[None]:
        """A slot while the block runs. `wait` sleeps some seconds, or raises why to wait no longer.

        `reads`: the run changes nothing. `say` is told the position in the queue, and each better one.
        """
        entry = _Entry(reads)
        with self._guard:
            self._waiting.append(entry)
        try:
            told = None
            while not self._starts(entry):
                if (ahead := self._ahead(entry)) != told:
                    say(f"Waiting for OpenTofu: {self._most} runs at once, {ahead} more before this one.")
                    told = ahead
                wait(POLL_INTERVAL)
            yield
        finally:
            with self._guard:
                for entries in (self._waiting, self._running):
                    if entry in entries:
                        entries.remove(entry)

    def _starts(self, entry: _Entry) -> bool:
        """Whether this one may start; then it counts as running."""
        with self._guard:
            if len(self._running) >= self._most:
                return False
            reading = sum(other.reads for other in self._running)
            for other in self._waiting:
                if other.reads and reading >= self._most_reading:
                    continue
                if other is entry:
                    self._waiting.remove(entry)
                    self._running.append(entry)
                    return True
                return False
            return False

    def _ahead(self, entry: _Entry) -> int:
        with self._guard:
            return self._waiting.index(entry)
