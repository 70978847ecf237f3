"""Writes down about once a second what deliveries were refused."""

import threading

import structlog

from environments.domain.errors import CalvinverseError
from environments.service.refused_counts import RefusedCounts

EVERY = 1.0
"""Seconds."""

log = structlog.get_logger()


class RefusedWriter:
    """A thread; what was counted is written before it stops."""

    def __init__(self, counts: RefusedCounts) -> None:
        self._counts = counts
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="refused writer", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopping.wait(EVERY):
            self._write()
        self._write()

    def _write(self) -> None:
        try:
            self._counts.write()
        except CalvinverseError as error:
            log.warning("webhook.counts_not_written", reason=error.message)
        except Exception as error:  # the thread must not end: nothing would be counted any more
            log.error("webhook.counts_fault", exc_info=error)
