"""Records the progress of a deployment: each change with its event, in one fenced transaction."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from environments.domain.environment import EventType, Failure, Resource, ResourceRef
from environments.domain.errors import Cancelled, Interrupted, StorageError
from environments.domain.lifecycle import SWITCHES, DeploymentState, ResourceStatus, State, StepState
from environments.engine.failures import PLAIN, failure_of
from environments.engine.lease import Lease
from environments.engine.logs import LogWriter
from environments.service import switch_retries, transitions
from environments.service.storage.transaction import Transaction
from environments.steps.base import Intended


class Recorder:
    """Writes the records of one deployment, its steps and its environment."""

    def __init__(self, lease: Lease, clock: Callable[[], datetime]) -> None:
        self.lease = lease
        self.clock = clock
        self._environment = lease.environment
        self.cleaner = PLAIN
        """Removes the deployment's secrets from failures and log lines."""

    @property
    def state(self) -> State:
        """The environment's state, as far as this deployment has changed it."""
        return self._environment.state

    def check(self, tx: Transaction, *, despite_cancel: bool = False) -> None:
        """Raises `LeaseLost`, `Superseded` and, without `despite_cancel`, `Cancelled`."""
        try:
            tx.deployments.check(*self.lease.holder)
        except Cancelled:
            if not despite_cancel:
                raise

    def move(self, tx: Transaction, state: State, *, despite_cancel: bool = False, **changes: Any) -> None:
        """Changes the environment's state. Raises `NotAllowedNow`, and what `check` raises."""
        self.check(tx, despite_cancel=despite_cancel)
        deployment_id = self.lease.deployment.id
        self._environment = transitions.move(
            tx, self._environment, state, self.clock(), deployment_id=deployment_id, **changes
        )

    def step(self, tx: Transaction, name: str, state: StepState, *, unchanged: bool = False, **values: Any) -> None:
        """Writes a row of the journal. `unchanged`: the step found nothing to change."""
        failure: Failure | None = values.get("failure")
        tx.journal.set(self.lease.deployment.id, name, state, self.clock(), **values)
        data: dict[str, Any] = {"state": state.value}
        data["failure"] = failure.model_dump(mode="json") if failure else None
        message = f"{name}: {failure.message if failure else state.value}"
        if unchanged:
            data["unchanged"] = True
            message += ", nothing to change"
        self._event(tx, EventType.STEP_STATE, message, data, step=name)

    @contextmanager
    def failing(self, logs: LogWriter, name: str, begun: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """Records an error raised in here as the step's failure, and raises it again.

        Errors that interrupt the deployment or prevent writes are only raised. Then the row stays as it is, and the
        worker that resumes the deployment runs the step again. `begun` says whether the step is running according to
        the journal.
        """
        try:
            yield
        except (Interrupted, StorageError):
            raise
        except Exception as error:
            logs.flush()
            with self.lease.write() as tx:
                if not begun():
                    self.step(tx, name, StepState.RUNNING)
                self.step(tx, name, StepState.FAILED, failure=failure_of(error, name, self.cleaner))
            raise

    def intend(self, tx: Transaction, step: str, intended: Sequence[Intended]) -> None:
        """Records the resources that a step is about to make, as its own or as shared."""
        now = self.clock()
        resources = [
            Resource(
                environment_id=self.lease.environment.id,
                kind=item.ref.kind,
                address=item.ref.address,
                step=None if item.shared else step,
                status=ResourceStatus.INTENDED,
                created_at=now,
                updated_at=now,
            )
            for item in intended
        ]
        tx.inventory.intend(resources, {f"{item.ref.kind} {item.ref.address}": item.rank for item in intended})

    def awaiting_promotion(self, tx: Transaction, steps: Sequence[str]) -> None:
        """Writes the event that a ready environment awaits promotion."""
        name = self.lease.environment.name
        message = f"{name} awaits promotion of {', '.join(steps)}: `calvinverse env promote {name}`"
        self._event(tx, EventType.ENVIRONMENT_AWAITING_PROMOTION, message, {"steps": list(steps)})

    def resource(
        self,
        tx: Transaction,
        ref: ResourceRef,
        status: ResourceStatus,
        detail: str = "",
        *,
        step: str | None = None,
    ) -> None:
        """Records the status of a resource; `step` observed it."""
        kind, address = ref.kind, ref.address
        tx.inventory.set(self.lease.environment.id, kind, address, status, detail, self.clock())
        text = f"{kind} {address}: {status.value}{f' ({detail})' if detail else ''}"
        data = {"kind": kind, "address": address, "status": status.value}
        self._event(tx, EventType.RESOURCE_STATUS, text, data, step=step)

    def begin(self, tx: Transaction) -> None:
        """Records that this worker carries out the deployment."""
        transitions.begin(tx, self.lease.deployment, self.clock())

    def end(self, tx: Transaction, state: DeploymentState, failure: Failure | None, note: str = "") -> None:
        """Records the end of the deployment; a failed stop or start may be tried again.

        `note` is added to its state in the event.
        """
        deployment, now = self.lease.deployment, self.clock()
        transitions.end(tx, deployment, self.lease.holder, state, failure, now, note)
        if state is DeploymentState.FAILED and deployment.kind in SWITCHES:
            switch_retries.after_failure(tx, deployment, now)

    def _event(
        self, tx: Transaction, type: EventType, message: str, data: dict[str, Any], step: str | None = None
    ) -> None:
        deployment = self.lease.deployment
        tx.events.add(
            type,
            deployment.environment_id,
            self.clock(),
            deployment_id=deployment.id,
            step=step,
            message=message,
            data=data,
        )
