"""Whose run of tofu begins next: so many at once in a process, whatever they are for, in the order of asking."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PAUSE = 0.1
"""Seconds between two looks at whether it is one's turn."""


class _Turn:
    def __init__(self, look: bool) -> None:
        self.look = look


class Turns:
    """At most `most` runs at once; each takes 150 MB and more, so this is what the memory of a process is planned by.

    Plans and looks leave one place to what changes the world, where there is more than one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._most_looks = max(1, most - 1)
        self._running: list[_Turn] = []
        self._waiting: list[_Turn] = []
        self._guard = threading.Lock()

    @contextmanager
    def turn(
        self, *, look: bool, wait: Callable[[float], None], say: Callable[[str], None] = lambda line: None
    ) -> Iterator[None]:
        """A turn while the block runs. `wait` sleeps some seconds, or raises why to wait no longer.

        `say` is told the place in the queue, and each better one.
        """
        turn = _Turn(look)
        with self._guard:
            self._waiting.append(turn)
        try:
            told = None
            while not self._begins(turn):
                if (ahead := self._ahead(turn)) != told:
                    say(f"Waiting for OpenTofu: {self._most} runs at once, {ahead} more before this one.")
                    told = ahead
                wait(PAUSE)
            yield
        finally:
            with self._guard:
                for turns in (self._waiting, self._running):
                    if turn in turns:
                        turns.remove(turn)

    def _begins(self, turn: _Turn) -> bool:
        """Whether it is this one's turn; then it counts as running."""
        with self._guard:
            if len(self._running) >= self._most:
                return False
            looks = sum(other.look for other in self._running)
            for other in self._waiting:
                if other.look and looks >= self._most_looks:
                    continue
                if other is turn:
                    self._waiting.remove(turn)
                    self._running.append(turn)
                    return True
                return False
            return False

    def _ahead(self, turn: _Turn) -> int:
        with self._guard:
            return self._waiting.index(turn)
