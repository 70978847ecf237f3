"""Claims deployments and carries them out. Destroys have their own lane, so that others never delay them."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog

from environments.domain.admission import KINDS, Lane
from environments.domain.environment import Failure
from environments.domain.errors import (
    CalvinverseError,
    Cancelled,
    InvalidTemplate,
    LeaseLost,
    Stopping,
    StorageError,
    Superseded,
)
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State, state_when_running
from environments.engine.cancelling import end_cancelled
from environments.engine.deploy import Deploy
from environments.engine.destroy import Destroy
from environments.engine.failures import failure_of
from environments.engine.fault_injection import NO_FAULTS, FaultInjection
from environments.engine.heartbeat import Heartbeat
from environments.engine.lease import SECONDS, Lease
from environments.engine.logs import LogWriter
from environments.engine.recorder import Recorder
from environments.engine.stop import Stop
from environments.service import transitions
from environments.service.feed import Feed
from environments.service.requests import Sealer
from environments.service.storage.deployments import Claim, UnreadableDeployment
from environments.service.storage.transaction import Storage
from environments.steps.registry import StepRegistry

SLOTS: Mapping[Lane, int] = {Lane.DEPLOY: 8, Lane.DESTROY: 8}
"""How many deployments run in parallel in each lane by default."""

_IDLE = 1.0
"""Seconds between two checks for expired leases; new work is noticed at once."""

_GRACE = 8.0
"""Seconds within which running steps must stop when the service stops."""

_NOT_BEGUN = (State.REQUESTED, State.READY, State.STOPPED)
"""States of environments whose deployment hasn't made its first change: it begins before it fails."""

_UNREADABLE_AGAIN = 600.0
"""Seconds until a destroy that couldn't be read is claimed again."""

log = structlog.get_logger()


class Worker:
    """Runs in threads of the service's process. `name` must be unique for each start."""

    def __init__(
        self,
        name: str,
        storage: Storage,
        registry: StepRegistry,
        sealer: Sealer,
        feed: Feed,
        clock: Callable[[], datetime],
        *,
        slots: Mapping[Lane, int] = SLOTS,
        host: str = "",
        version: str = "",
        faults: FaultInjection = NO_FAULTS,
    ) -> None:
        storage = faults.storage(storage)
        self._name = name
        self._storage = storage
        self._faults = faults
        self._registry = registry
        self._sealer = sealer
        self._feed = feed
        self._clock = clock
        self._logs = LogWriter(storage, clock, name, faults)
        self._started = False
        self._stopping = threading.Event()
        self._running: set[threading.Thread] = set()
        self._guard = threading.Lock()
        self._heartbeat = Heartbeat(name, storage, clock, slots, host, version, self._stopping, faults)
        self._lanes = [
            threading.Thread(target=self._lane, args=(KINDS[lane], threading.Semaphore(count)), name=f"lane-{lane}")
            for lane, count in slots.items()
        ]

    @property
    def stopping(self) -> bool:
        """Whether the worker was told to stop."""
        return self._stopping.is_set()

    @property
    def busy(self) -> int:
        """How many deployments this worker is running."""
        with self._guard:
            return len(self._running)

    def start(self) -> None:
        """Starts to claim deployments."""
        self._started = True
        self._logs.start()
        self._heartbeat.start()
        for lane in self._lanes:
            lane.start()
            self._faults.started(lane, self._stop_claiming)

    def stop(self) -> None:
        """Stops claiming, lets running steps stop at their next safe point, and releases their deployments."""
        self._stopping.set()
        if not self._started:
            return
        self._stop_claiming()
        for lane in self._lanes:
            lane.join(timeout=_GRACE)
        with self._guard:
            running = list(self._running)
        for thread in running:
            thread.join(timeout=_GRACE)
        self._logs.stop()
        self._heartbeat.leave()

    def _stop_claiming(self) -> None:
        self._stopping.set()
        self._feed.wake()

    def _lane(self, kinds: tuple[DeploymentKind, ...], slots: threading.Semaphore) -> None:
        while not self._stopping.is_set():
            if not slots.acquire(timeout=_IDLE):
                continue
            claim, seen = None, self._feed.newest
            try:
                claim = self._claim(kinds)
            except CalvinverseError as error:
                log.warning("claim.failed", reason=error.message)
                self._stopping.wait(_IDLE)
            except Exception as error:  # a lane must not end: a deployment that can't be read now may be readable later
                log.error("claim.fault", exc_info=error)
                self._stopping.wait(_IDLE)
            if claim is None:
                slots.release()
                if not self._stopping.is_set():
                    self._feed.wait(seen, _IDLE)
                continue
            thread = threading.Thread(target=self._run, args=(claim, slots), name=claim.deployment.id, daemon=True)
            with self._guard:
                self._running.add(thread)
            thread.start()
            self._faults.started(thread, self._stop_claiming)

    def _claim(self, kinds: tuple[DeploymentKind, ...]) -> Claim | None:
        with self._storage.read() as tx:
            if not tx.deployments.waiting(kinds, self._clock()):
                return None
        try:
            with self._storage.write() as tx:
                return transitions.claim(tx, self._name, SECONDS, kinds, self._clock())
        except UnreadableDeployment as unreadable:
            self._set_aside(unreadable)
            return None

    def _set_aside(self, unreadable: UnreadableDeployment) -> None:
        """Takes a deployment that can't be read out of the queue."""
        log.error("deployment.unreadable", deployment=unreadable.deployment_id, exc_info=unreadable)
        failure = Failure(
            code=StorageError.code,
            message="The stored record of the deployment or of its environment can't be read.",
            hint="Ask an operator of the service.",
        )
        now, deployment_id = self._clock(), unreadable.deployment_id
        with self._storage.write() as tx:
            transitions.set_aside(tx, deployment_id, self._name, _UNREADABLE_AGAIN, failure, now)

    def _run(self, claim: Claim, slots: threading.Semaphore) -> None:
        deployment = claim.deployment
        tell = log.bind(deployment=deployment.id, environment=claim.environment.name, kind=deployment.kind.value)
        tell.info("deployment.claimed", epoch=deployment.epoch)
        lease = Lease(self._storage, claim.environment, deployment, self._name, self._stopping, self._faults)
        try:
            with lease:
                self._carry_out(lease)
        except (LeaseLost, Stopping) as error:
            tell.info("deployment.interrupted", reason=error.message)
        except StorageError as error:
            tell.error("deployment.interrupted", reason=error.message)
            self._stopping.wait(_IDLE)
        except Exception as error:  # noqa: BLE001 - another worker claims the deployment when its lease has expired
            tell.error("deployment.fault", exc_info=error)
        finally:
            with self._guard:
                self._running.discard(threading.current_thread())
            slots.release()
            self._feed.wake()

    def _carry_out(self, lease: Lease) -> None:
        recorder = Recorder(lease, self._clock)
        try:
            try:
                self._attempt(recorder)
            except Cancelled as cancelled:
                end_cancelled(recorder, cancelled)
                log.info("deployment.cancelled", deployment=lease.deployment.id, by=cancelled.details.get("by"))
            else:
                log.info("deployment.ended", deployment=lease.deployment.id, state=recorder.state.value)
        except Superseded:
            with lease.write() as tx:
                recorder.end(tx, DeploymentState.SUPERSEDED, None)
        except Stopping:
            # A cancelled deployment is released too: the worker that resumes it ends it.
            lease.release()
            raise

    def _attempt(self, recorder: Recorder) -> None:
        lease = recorder.lease
        try:
            if lease.deployment.kind is DeploymentKind.DESTROY:
                Destroy(recorder, self._registry, self._logs).run()
            elif lease.deployment.kind is DeploymentKind.STOP:
                Stop(recorder, self._registry, self._logs).run()
            else:
                Deploy(recorder, self._registry, self._sealer, self._logs).run()
        except InvalidTemplate as error:
            # no step has begun, because this version can't read the template
            failure = failure_of(error)
            with lease.write() as tx:
                if lease.deployment.kind is not DeploymentKind.DESTROY:
                    if recorder.state in _NOT_BEGUN:
                        recorder.move(tx, state_when_running(lease.deployment.kind))
                    recorder.move(tx, State.FAILED, failure=failure)
                recorder.end(tx, DeploymentState.FAILED, failure)
