"""A worker's hold on one deployment: prolonged while it lives, checked before each effect, fencing every write."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from environments.domain.environment import Deployment, Environment
from environments.domain.errors import CalvinverseError, Interrupted, LeaseLost, Stopping
from environments.service.storage import Storage, Transaction

SECONDS = 10.0
"""How long a lease lasts: what a dead worker's deployment waits at most before another one goes on."""

RENEWED_EVERY = 3.0
"""Seconds between two prolongations."""

log = structlog.get_logger()


class Lease:
    """Held from the claim to the end of the deployment. Used by several threads at once."""

    def __init__(
        self, storage: Storage, environment: Environment, deployment: Deployment, worker: str, stopping: threading.Event
    ) -> None:
        self.environment = environment
        self.deployment = deployment
        self._storage = storage
        self._worker = worker
        self._stopping = stopping
        self._sure_until = time.monotonic() + SECONDS
        self._lost: Interrupted | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{deployment.id}", daemon=True)

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=SECONDS)

    def check(self) -> None:
        """Raises `LeaseLost`, `Superseded` or `Stopping`; returns when the worker may change the world."""
        self._check_here()
        deployment = self.deployment
        with self._storage.read() as tx:
            tx.deployments.check(deployment.id, self._worker, deployment.epoch)

    def _check_here(self) -> None:
        """What can be told without the database."""
        if self._stopping.is_set():
            raise Stopping("The service is being stopped.")
        if self._lost is not None:
            raise self._lost
        if time.monotonic() >= self._sure_until:
            raise LeaseLost("The lease could not be prolonged in time.")

    @contextmanager
    def write(self, *, going_on: bool = False) -> Iterator[Transaction]:
        """A transaction that fails with `LeaseLost` if the deployment isn't ours any more.

        With `going_on` it does what `check` does as well: for what begins something.
        """
        if going_on:
            self._check_here()
        with self._storage.write() as tx:
            tx.deployments.fence(*self.holder)
            if going_on:
                tx.deployments.check(*self.holder)
            yield tx

    @property
    def holder(self) -> tuple[str, str, int]:
        """Deployment, worker and epoch: what a fenced write names."""
        return self.deployment.id, self._worker, self.deployment.epoch

    def release(self) -> None:
        """Gives the deployment back at once, so that it goes on elsewhere or after a restart."""
        with self._storage.write() as tx:
            tx.deployments.release(*self.holder)

    def _keep(self) -> None:
        while not self._ended.wait(RENEWED_EVERY):
            asked = time.monotonic()
            try:
                with self._storage.write() as tx:
                    ours = tx.deployments.renew(*self.holder, SECONDS)
            except CalvinverseError as error:
                log.warning("lease.not_renewed", deployment=self.deployment.id, reason=error.message)
                continue
            if not ours:
                self._lost = LeaseLost("Another worker has taken this deployment over.")
                return
            self._sure_until = asked + SECONDS
