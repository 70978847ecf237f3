"""Tells the database, and so everybody, that a worker lives."""

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
"""Seconds between two beats; the one before still counts when one is late."""

log = structlog.get_logger()


class Heartbeat:
    """A thread that beats until it is stopped. Leases of deployments don't depend on it: it is for people."""

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
        """The first beat comes at once."""
        self._thread.start()
        self._faults.started(self._thread, self._stopping.set)

    def leave(self) -> None:
        """The worker has ended: takes it off the list."""
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
