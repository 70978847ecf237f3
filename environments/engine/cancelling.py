"""Ends a cancelled deployment: no step stays running, and the environment can be retried or repaired."""

from environments.domain.environment import Failure
from environments.domain.errors import Cancelled
from environments.domain.lifecycle import BUSY, DeploymentState, State, StepState
from environments.engine.recorder import Recorder
from environments.service.cancellation import cancellation_failure, reverted_columns
from environments.service.deadlines import tell_moved
from environments.service.storage.transaction import Transaction

_BEGUN = BUSY - {State.DESTROYING}
"""An environment in one of these states fails. In any other, the deployment has not begun, and the state stays."""


def end_cancelled(recorder: Recorder, asked: Cancelled) -> None:
    """Records the end. Raises `LeaseLost`, and `Superseded` if a destroy has been requested meanwhile."""
    lease = recorder.lease
    deployment, environment = lease.deployment, lease.environment
    with lease.write() as tx:
        recorder.check(tx, despite_cancel=True)
        failed = recorder.state in _BEGUN
        steps = tx.journal.steps(deployment.id)
        running = [step.name for step in steps if step.state is StepState.RUNNING]
        by = str(asked.details.get("by", "somebody"))
        failure = cancellation_failure(deployment, by, running, untouched=not failed)
        for step in steps:
            _end_step(recorder, tx, step.name, step.state, failure)
        if failed:
            recorder.move(tx, State.FAILED, despite_cancel=True, failure=failure)
        else:
            environment = tx.environments.get(environment.id) or environment  # its deadline may have moved since
            changes = reverted_columns(tx, environment, deployment, recorder.clock())
            if changes:
                tx.environments.change(environment.id, **changes)
                tell_moved(tx, environment, recorder.clock(), f"{by} cancelled its {deployment.kind.value}", changes)
        recorder.end(tx, DeploymentState.CANCELLED, failure)


def _end_step(recorder: Recorder, tx: Transaction, name: str, state: StepState, failure: Failure) -> None:
    if state is StepState.RUNNING:
        recorder.step(tx, name, StepState.FAILED, failure=failure.model_copy(update={"step": name}))
    elif state is StepState.PENDING:
        recorder.step(tx, name, StepState.SKIPPED)
