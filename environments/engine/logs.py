"""Writes log lines of steps: in batches, in order, and before the end of the step."""

import threading
from collections.abc import Callable
from datetime import datetime

import structlog

from environments.domain.errors import CalvinverseError
from environments.engine.failures import PLAIN
from environments.engine.fault_injection import NO_FAULTS, FaultInjection
from environments.service.storage.transaction import Storage

FLUSHED_EVERY = 0.1
"""Seconds between two batches."""

LONGEST_LINE = 4000
"""Characters; the rest of a longer line is cut off, visibly."""

log = structlog.get_logger()


class LogWriter:
    """Collects lines of all running steps; one thread writes them."""

    def __init__(
        self, storage: Storage, clock: Callable[[], datetime], worker: str, faults: FaultInjection = NO_FAULTS
    ) -> None:
        self._storage = storage
        self._worker = worker
        self._clock = clock
        self._faults = faults
        self._lines: list[tuple[str, str, str | None, datetime, str]] = []
        self._guard = threading.Lock()
        self._writing = threading.Lock()
        self._wanted = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()
        self._faults.started(self._thread, self._end)

    def stop(self) -> None:
        """Writes the remaining lines and stops the thread."""
        self._end()
        self._thread.join(timeout=5)
        try:
            self.flush()
        except CalvinverseError as error:
            log.warning("log.lost", lines=len(self._lines), reason=error.message)

    def add(self, environment_id: str, deployment_id: str, step: str | None, line: str) -> None:
        """Adds a line, which is written within `FLUSHED_EVERY`."""
        text = PLAIN.clean(line).rstrip()
        if len(text) > LONGEST_LINE:
            text = f"{text[:LONGEST_LINE]} … ({len(text) - LONGEST_LINE} more characters)"
        with self._guard:
            self._lines.append((environment_id, deployment_id, step, self._clock(), text))
        self._wanted.set()

    def flush(self) -> None:
        """Writes all collected lines. If the database fails, they stay collected.

        Lines of a deployment that another worker has taken over are dropped.
        """
        with self._writing:
            with self._guard:
                batch = list(self._lines)
            if not batch:
                return
            with self._storage.write() as tx:
                held = {row[1]: tx.deployments.get(row[1]) for row in batch}
                ours = {name for name, found in held.items() if found is not None and found.worker == self._worker}
                tx.events.add_logs([row for row in batch if row[1] in ours])
            with self._guard:
                del self._lines[: len(batch)]

    def _end(self) -> None:
        self._stopped.set()
        self._wanted.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wanted.wait()
            self._wanted.clear()
            try:
                self.flush()
            except CalvinverseError as error:
                log.warning("log.not_written", reason=error.message)
                self._stopped.wait(1)
                self._wanted.set()
            self._stopped.wait(FLUSHED_EVERY)
