"""A worker's lease on one deployment: renewed while the worker is alive, checked before each effect and each write.

While the database is away the worker pauses: it asks again for as long as the lease is surely its own. Where an answer
was lost it does not: the deployment is interrupted, and is resumed at the interrupted step when its lease is over.
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
"""How long a lease lasts: after at most this time another worker resumes a dead worker's deployment."""

RENEWED_EVERY = 3.0
"""Seconds between two renewals."""

_PAUSE = 0.25
"""Seconds after which an unavailable database is asked again."""

log = structlog.get_logger()


class Lease:
    """Held from the claim to the end of the deployment. Used by several threads at once."""

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
        """Returns if the worker may change the world. Raises `LeaseLost`, `Superseded`, `Cancelled` or `Stopping`."""
        while True:
            self._check_here()
            try:
                with self._storage.read() as tx:
                    tx.deployments.check(*self.holder)
                return
            except DatabaseUnavailable as error:
                self._pause(error)

    def _check_here(self) -> None:
        """Does the part of `check` that needs no database."""
        if self._stopping.is_set():
            raise Stopping("The service is being stopped.")
        if self._lost is not None:
            raise self._lost
        if time.monotonic() >= self._sure_until:
            raise LeaseLost("The lease could not be renewed in time.")

    @contextmanager
    def write(self, *, going_on: bool = False) -> Iterator[Transaction]:
        """A transaction that fails with `LeaseLost` if the deployment isn't ours any more.

        With `going_on` it does what `check` does as well: for what begins something.
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
                if begun:  # whether it was committed is unknown
                    raise
                self._pause(error)

    def _pause(self, error: DatabaseUnavailable) -> None:
        """Waits a moment for the database; raises the error when the lease may be over by then."""
        if self._lost is not None or self.sure_for <= _PAUSE or self._stopping.wait(_PAUSE):
            raise error

    @property
    def sure_for(self) -> float:
        """Seconds from now for which no other worker can take the deployment; zero or less: not sure."""
        return 0.0 if self._lost is not None else self._sure_until - time.monotonic()

    @property
    def holder(self) -> tuple[str, str, int]:
        """Deployment, worker and epoch: what a fenced write names."""
        return self.deployment.id, self._worker, self.deployment.epoch

    def release(self) -> None:
        """Gives the deployment back at once, so that another worker, or this one after a restart, can resume it."""
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
                self._lost = LeaseLost("Another worker has taken this deployment over.")
                return
            self._sure_until = asked + SECONDS
