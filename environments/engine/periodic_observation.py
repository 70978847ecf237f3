"""Observes environments on their schedule: ready ones for drift, abandoned ones for what is left of them.

It has its own threads, because an observation takes seconds and must not delay the scheduler's deadlines. Every
process with a worker runs it, and claims an environment in the database before it observes that, so that no other
process does.
"""

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from environments.domain.errors import CalvinverseError

EVERY = 5.0
"""Seconds between two checks for due observations."""

SIDE_BY_SIDE = 3
"""How many environments are observed in parallel."""

log = structlog.get_logger()


class PeriodicObservation:
    """Threads that call each of `tasks` until nothing is due. A task returns the environments that it has observed.

    A task claims what it observes, so a slow environment occupies only one thread.
    """

    def __init__(self, tasks: Sequence[Callable[[], Sequence[str]]]) -> None:
        self._tasks = tasks
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"observe-{number}", daemon=True) for number in range(SIDE_BY_SIDE)
        ]

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stops the threads. Waits at most 2 s for running observations, because those change nothing."""
        self._stopping.set()
        end = time.monotonic() + 2
        for thread in self._threads:
            thread.join(timeout=max(0.0, end - time.monotonic()))

    def _run(self) -> None:
        while not self._stopping.wait(EVERY):
            for observe in self._tasks:
                try:
                    while not self._stopping.is_set() and (names := observe()):
                        log.info("observation.done", environments=names)
                except CalvinverseError as error:
                    log.warning("observation.failed", reason=error.message)
                except Exception as error:  # the thread must not end: the next observation may succeed
                    log.error("observation.fault", exc_info=error)
