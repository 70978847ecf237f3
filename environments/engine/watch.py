"""Looks at environments when their moment has come: for drift, and for what was given up.

Apart from the clock, for a look takes seconds and a deadline can't wait. Every process with a worker does it: who looks
at which is settled in the database.
"""

import threading
from collections.abc import Callable, Sequence

import structlog

from environments.domain.errors import CalvinverseError

EVERY = 5.0
"""Seconds between two questions whether a moment has come."""

log = structlog.get_logger()


class Watch:
    """One thread that calls each of `looks` until nothing is due; they give the names of what they looked at."""

    def __init__(self, looks: Sequence[Callable[[], Sequence[str]]]) -> None:
        self._looks = looks
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends; a look that runs changes nothing, and isn't waited for long."""
        self._stopping.set()
        self._thread.join(timeout=2)

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
