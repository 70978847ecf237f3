"""Looks at environments when their moment has come: for drift, and for what was given up.

Apart from the clock, for a look takes seconds and a deadline can't wait. Every process with a worker does it: who looks
at which is settled in the database.
"""

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from environments.domain.errors import CalvinverseError

EVERY = 5.0
"""Seconds between two questions whether a moment has come."""

SIDE_BY_SIDE = 3
"""Environments that are looked at side by side."""

log = structlog.get_logger()


class Watch:
    """Threads that call each of `looks` until nothing is due; they give the names of what they looked at.

    Each claims what it looks at, so an environment whose look takes long keeps only one of them.
    """

    def __init__(self, looks: Sequence[Callable[[], Sequence[str]]]) -> None:
        self._looks = looks
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"watch-{number}", daemon=True) for number in range(SIDE_BY_SIDE)
        ]

    def start(self) -> None:
        """Begins."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends; a look that runs changes nothing, and isn't waited for long."""
        self._stopping.set()
        end = time.monotonic() + 2
        for thread in self._threads:
            thread.join(timeout=max(0.0, end - time.monotonic()))

    def _run(self) -> None:
        while not self._stopping.wait(EVERY):
            for look in self._looks:
                try:
                    while not self._stopping.is_set() and (names := look()):
                        log.info("watch.looked", environments=names)
                except CalvinverseError as error:
                    log.warning("watch.failed", reason=error.message)
                except Exception as error:  # the watch must not end: what can't be seen now may be seen later
                    log.error("watch.fault", exc_info=error)
