"""Cleaners that know the secrets of an environment, for text that was read already: none is older than a secret in it.

Secrets are kept by steps of deployments. So what is remembered is good until a deployment begins; while one runs, the
secrets are read again for each text, by one caller at a time, and whoever waits takes what was read meanwhile.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from sys import getsizeof

from environments.domain.cleaning import Cleaner
from environments.domain.environment import Environment
from environments.domain.lifecycle import DeploymentState
from environments.service.storage.deployments import Span
from environments.service.storage.transaction import Storage

WORDS_SECONDS = 30.0
"""For how long the secrets of an environment are remembered: who follows asks each second."""

_REMEMBERED_BYTES = 64 * 1024 * 1024
"""The most memory for what is remembered, about. Of what takes more by itself, only the one used last is remembered: to
read it for each text would take more time than its memory is worth."""

Words = Callable[[Environment], Sequence[str]]
"""The values of all of an environment's secrets. Raises `BackendError`, `NotAllowedNow`."""


@dataclass
class _Known:
    """Of one environment. `began`: when reading its secrets began; `spans`: the deployments that there were then.

    `used`: when text was read last for which it was wanted; `size`: bytes of memory, about.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    began: float = 0.0
    spans: Sequence[Span] = ()
    good: bool = False
    words: Sequence[str] = ()
    cleaner: Cleaner = field(default_factory=Cleaner)
    used: float = float("-inf")
    size: int = 0


class EnvironmentCleaners:
    """Reads secrets of environments, and remembers some for a while."""

    def __init__(self, storage: Storage, words: Words, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._words = words
        self.clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def cleaner(self, environment: Environment, read_at: float) -> Cleaner:
        """One for text that had been read at `read_at`, by `clock`.

        Raises `BackendError`, and `NotAllowedNow` if not all of the environment's secrets are known.
        """
        known = self._of(environment.id, read_at)
        with known.lock:
            with self._storage.read() as tx:
                spans = tx.deployments.spans(environment.id)
            if not self._is_good(known, spans, read_at):
                known.good, known.began, known.spans = False, self.clock(), spans
                words = list(self._words(environment))
                if words != known.words:  # to make a cleaner takes longer than to read the words
                    known.words, known.cleaner = words, Cleaner(words)
                    known.size = known.cleaner.size + sum(map(getsizeof, words))
                known.good = True
            cleaner = known.cleaner
        self._forget(read_at)
        return cleaner

    def _is_good(self, known: _Known, spans: Sequence[Span], read_at: float) -> bool:
        if not known.good or known.began >= read_at:
            return known.good
        changes = any(span.state is DeploymentState.RUNNING for span in spans)
        return not changes and known.spans == spans and self.clock() < known.began + WORDS_SECONDS

    def _of(self, environment_id: str, read_at: float) -> _Known:
        with self._lock:
            known = self._known.setdefault(environment_id, _Known())
            known.used = max(known.used, read_at)
            self._known.move_to_end(environment_id)
            return known

    def _forget(self, now: float) -> None:
        """What nobody has used for a while, and of the rest what takes too much memory, the oldest first."""
        with self._lock:
            small, has_large = 0, False
            for environment_id, known in reversed(list(self._known.items())):
                size = known.size
                is_large = size > _REMEMBERED_BYTES
                fits = not has_large if is_large else small + size <= _REMEMBERED_BYTES
                if not fits or known.used + WORDS_SECONDS < now:
                    del self._known[environment_id]
                elif is_large:
                    has_large = True
                else:
                    small += size
