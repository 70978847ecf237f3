"""A worker's lease on one deployment: renewed while the worker is alive, checked before each effect and each write.

While the database is unavailable the worker retries for as long as it certainly has the lease. When the answer to a
write is lost, it doesn't retry: the deployment is interrupted, and resumed at the interrupted step when its lease has
expired.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from environments.domain.environment import Deployment, Environment
from environments.domain.errors import CalvinverseError, DatabaseUnavailable, Interrupted, LeaseLost, Stopping
from environments.engine.fault_injection import NO_FAULTS, FaultInjection
from environments.service.storage.transaction import Storage, Transaction

SECONDS = 10.0
"""How long a lease lasts, and so the longest time until another worker resumes a dead worker's deployment."""

RENEWED_EVERY = 3.0
"""Seconds between two renewals."""

_PAUSE = 0.25
"""Seconds between two attempts to use an unavailable database."""

log = structlog.get_logger()


class Lease:
    """The lease of a deployment, from the claim to the end. Several threads use it at the same time."""

    def __init__(
        self,
        storage: Storage,
        environment: Environment,
        deployment: Deployment,
        worker: str,
        stopping: threading.Event,
        faults: FaultInjection = NO_FAULTS,
    ) -> None:
        self.environment = environment
        self.deployment = deployment
        self._storage = storage
        self._worker = worker
        self._stopping = stopping
        self._faults = faults
        self._sure_until = time.monotonic() + SECONDS
        self._lost: Interrupted | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{deployment.id}", daemon=True)

    def __enter__(self) -> "Lease":
        self._thread.start()
        self._faults.started(self._thread, self._ended.set)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=SECONDS)

    def check(self) -> None:
        """Returns if the worker may change resources. Raises `LeaseLost`, `Superseded`, `Cancelled` or `Stopping`."""
        while True:
            self._check_here()
            try:
                with self._storage.read() as tx:
                    tx.deployments.check(*self.holder)
                return
            except DatabaseUnavailable as error:
                self._pause(error)

    def _check_here(self) -> None:
        """The part of `check` that needs no database."""
        if self._stopping.is_set():
            raise Stopping("The service is being stopped.")
        if self._lost is not None:
            raise self._lost
        if time.monotonic() >= self._sure_until:
            raise LeaseLost("The lease could not be renewed in time.")

    @contextmanager
    def write(self, *, going_on: bool = False) -> Iterator[Transaction]:
        """A transaction that fails with `LeaseLost` if the worker has lost the deployment.

        With `going_on` it also does what `check` does: use that when something begins.
        """
        while True:
            if going_on:
                self._check_here()
            begun = False
            try:
                with self._storage.write() as tx:
                    tx.deployments.fence(*self.holder)
                    if going_on:
                        tx.deployments.check(*self.holder)
                    begun = True
                    yield tx
                return
            except DatabaseUnavailable as error:
                if begun:  # it is unknown whether the transaction was committed
                    raise
                self._pause(error)

    def _pause(self, error: DatabaseUnavailable) -> None:
        """Waits a moment for the database; raises the error if the lease may have expired by then."""
        if self._lost is not None or self.sure_for <= _PAUSE or self._stopping.wait(_PAUSE):
            raise error

    @property
    def sure_for(self) -> float:
        """Seconds from now for which no other worker can claim the deployment; zero or less if that is uncertain."""
        return 0.0 if self._lost is not None else self._sure_until - time.monotonic()

    @property
    def holder(self) -> tuple[str, str, int]:
        """Deployment, worker and epoch, which a fenced write names."""
        return self.deployment.id, self._worker, self.deployment.epoch

    def release(self) -> None:
        """Ends the lease at once, so that another worker, or this one after a restart, can resume the deployment."""
        with self._storage.write() as tx:
            tx.deployments.release(*self.holder)

    def _keep(self) -> None:
        pause = RENEWED_EVERY
        while not self._ended.wait(pause):
            asked = time.monotonic()
            try:
                with self._storage.write() as tx:
                    ours = tx.deployments.renew(*self.holder, SECONDS)
            except CalvinverseError as error:
                log.warning("lease.not_renewed", deployment=self.deployment.id, reason=error.message)
                pause = _PAUSE if error.transient and self.sure_for > 0 else RENEWED_EVERY
                continue
            pause = RENEWED_EVERY
            if not ours:
                self._lost = LeaseLost("Another worker has taken over this deployment.")
                return
            self._sure_until = asked + SECONDS
