"""Records in the database that a worker is alive."""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog

from environments.domain.admission import Lane
from environments.domain.errors import CalvinverseError
from environments.engine.fault_injection import NO_FAULTS, FaultInjection
from environments.engine.lease import SECONDS
from environments.service.storage.deployments import WorkerRecord
from environments.service.storage.transaction import Storage

EVERY = 4.0
"""Seconds between two heartbeats. A worker counts as alive even if one is late."""

log = structlog.get_logger()


class Heartbeat:
    """A thread that writes heartbeats until it is stopped. They are for people: leases don't depend on them."""

    def __init__(
        self,
        name: str,
        storage: Storage,
        clock: Callable[[], datetime],
        slots: Mapping[Lane, int],
        host: str,
        version: str,
        stopping: threading.Event,
        faults: FaultInjection = NO_FAULTS,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._stopping = stopping
        self._faults = faults
        now = clock()
        self._record = WorkerRecord(
            name=name,
            host=host or socket.gethostname(),
            pid=os.getpid(),
            version=version,
            slots={lane.value: count for lane, count in slots.items()},
            started_at=now,
            seen_at=now,
            alive=True,
        )
        self._thread = threading.Thread(target=self._run, name=f"beat-{name}", daemon=True)

    def start(self) -> None:
        """Starts the thread; the first heartbeat is written at once."""
        self._thread.start()
        self._faults.started(self._thread, self._stopping.set)

    def leave(self) -> None:
        """Removes a worker that has ended from the list."""
        self._thread.join(timeout=EVERY)
        try:
            with self._storage.write() as tx:
                tx.workers.leave(self._record.name)
        except CalvinverseError as error:
            log.warning("worker.not_left", worker=self._record.name, reason=error.message)

    def _run(self) -> None:
        while True:
            try:
                with self._storage.write() as tx:
                    tx.workers.beat(self._record._replace(seen_at=self._clock()), SECONDS)
            except CalvinverseError as error:
                log.warning("worker.not_seen", worker=self._record.name, reason=error.message)
            if self._stopping.wait(EVERY):
                return
