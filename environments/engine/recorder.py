"""Writes down how a deployment goes: every change with its event, in one fenced transaction."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from environments.domain.environment import EventType, Failure, Resource, ResourceRef
from environments.domain.errors import Cancelled, Interrupted, StorageError
from environments.domain.lifecycle import DeploymentState, ResourceStatus, State, StepState
from environments.engine.failures import PLAIN, failure_of
from environments.engine.lease import Lease
from environments.engine.logs import LogWriter
from environments.service import transitions
from environments.service.storage.transaction import Transaction
from environments.steps.base import Intended


class Recorder:
    """What one deployment writes about itself, its steps and its environment."""

    def __init__(self, lease: Lease, clock: Callable[[], datetime]) -> None:
        self.lease = lease
        self.clock = clock
        self._environment = lease.environment
        self.cleaner = PLAIN
        """Knows the secrets that the deployment was given: failures and log lines are cleaned of them."""

    @property
    def state(self) -> State:
        """The environment's state, as far as this deployment has changed it."""
        return self._environment.state

    def check(self, tx: Transaction, *, despite_cancel: bool = False) -> None:
        """Raises `LeaseLost`, `Superseded` and `Cancelled`; with `despite_cancel` the last one not."""
        try:
            tx.deployments.check(*self.lease.holder)
        except Cancelled:
            if not despite_cancel:
                raise

    def move(self, tx: Transaction, state: State, *, despite_cancel: bool = False, **changes: Any) -> None:
        """The environment's next state. Raises `NotAllowedNow`, and what `check` raises."""
        self.check(tx, despite_cancel=despite_cancel)
        deployment_id = self.lease.deployment.id
        self._environment = transitions.move(
            tx, self._environment, state, self.clock(), deployment_id=deployment_id, **changes
        )

    def step(self, tx: Transaction, name: str, state: StepState, *, unchanged: bool = False, **values: Any) -> None:
        """A line of the journal. `unchanged`: everything was as the step makes it, so nothing was done."""
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
        """What is raised in here is the end of that step, and goes on being raised.

        Not what interrupts the deployment or keeps us from writing: then the line stays as it is, and whoever goes on
        with the deployment does the step again. `begun` tells whether the journal has the step's beginning.
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
        """Writes down what a step is about to make, as its own or as shared."""
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
        """Tells that a ready environment waits for a person."""
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
        """What is known of a resource now; `step` found it out."""
        kind, address = ref.kind, ref.address
        tx.inventory.set(self.lease.environment.id, kind, address, status, detail, self.clock())
        text = f"{kind} {address}: {status.value}{f' ({detail})' if detail else ''}"
        data = {"kind": kind, "address": address, "status": status.value}
        self._event(tx, EventType.RESOURCE_STATUS, text, data, step=step)

    def begin(self, tx: Transaction) -> None:
        """The deployment runs here now."""
        transitions.begin(tx, self.lease.deployment, self.clock())

    def end(self, tx: Transaction, state: DeploymentState, failure: Failure | None, note: str = "") -> None:
        """The deployment has ended, for good. `note` is told beside its state."""
        transitions.end(tx, self.lease.deployment, self.lease.holder, state, failure, self.clock(), note)

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
