"""The one place that changes the state of an environment or of a deployment.

Each function checks the move, writes the row, and writes the event about it, in the caller's transaction. The moves of
a deployment are checked by the storage: since several processes write at once, each write names the state that it
replaces.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from environments.domain.environment import Deployment, Environment, EventType, Failure
from environments.domain.lifecycle import BUSY, MOVES, DeploymentKind, DeploymentState, State, check_move
from environments.service.storage.deployments import Claim, DeploymentRef
from environments.service.storage.transaction import Transaction

Holder = tuple[str, str, int]
"""Deployment, worker and epoch of a lease. A write under it fails when the deployment has another worker or epoch."""

# Environments


def request(tx: Transaction, environment: Environment, sealed: bytes | None, by: str, now: datetime) -> None:
    """Adds a requested environment. `sealed`: its encrypted secret parameters. Raises `NameTaken`."""
    tx.environments.add(environment, sealed)
    tx.events.add(
        EventType.ENVIRONMENT_REQUESTED,
        environment.id,
        now,
        message=f"{by} requested {environment.name} ({environment.template})",
        data={"deadline": environment.deadline.isoformat() if environment.deadline else None},
    )


def move(
    tx: Transaction,
    environment: Environment,
    state: State,
    now: datetime,
    *,
    message: str = "",
    data: Mapping[str, Any] | None = None,
    deployment_id: str | None = None,
    **changes: Any,
) -> Environment:
    """Moves an environment into another state, and returns the changed environment. Raises `NotAllowedNow`.

    `changes` are columns to write as well. `message` and `data` are those of the event; the state is added to `data`.
    """
    check_move(environment.name, environment.state, state)
    tx.environments.set_state(environment.id, state, now, **changes)
    message = message or f"{environment.name} is {state.value}"
    _tell_environment(tx, environment.id, state, message, now, data=data, deployment_id=deployment_id)
    known = {name: value for name, value in changes.items() if name in Environment.model_fields}
    return environment.model_copy(update={"state": state, "state_since": now, **known})


def mirror(tx: Transaction, environment: Environment, now: datetime) -> None:
    """Writes an environment that another service manages, with the state that it has there. Raises `NameTaken`."""
    if tx.environments.get(environment.id) is None:
        tx.environments.add(environment)
    else:
        fields = {name: getattr(environment, name) for name in Environment.model_fields}
        state, since = fields.pop("state"), fields.pop("state_since")
        tx.environments.set_state(environment.id, state, since, **fields)
    message = f"{environment.name} is {environment.state.value}, managed by {environment.managed_by}"
    _tell_environment(tx, environment.id, environment.state, message, now)


# Deployments


def queue(tx: Transaction, deployment: Deployment, message: str) -> None:
    """Adds a deployment to the queue; `message` is the event's."""
    tx.deployments.add(deployment)
    kind, state = deployment.kind.value, deployment.state.value
    tx.events.add(
        EventType.DEPLOYMENT_REQUESTED,
        deployment.environment_id,
        deployment.requested_at,
        deployment_id=deployment.id,
        message=message,
        data={
            "kind": kind,
            "state": state,
            "rollback_to": deployment.rollback_to,
            "because": deployment.because.model_dump(mode="json") if deployment.because else None,
        },
    )


def claim(tx: Transaction, worker: str, lease: float, kinds: Iterable[DeploymentKind], now: datetime) -> Claim | None:
    """See `Deployments.claim`. The deployment is running from then on; its worker writes the event when it begins."""
    for ended in tx.deployments.end_superseded(now):
        _tell_ended(tx, ended, DeploymentState.SUPERSEDED, now)
    return tx.deployments.claim(worker, lease, kinds, now)


def begin(tx: Transaction, deployment: Deployment, now: datetime) -> None:
    """Records that a claimed deployment has started, or resumed on another worker; clears the last observation."""
    tx.environments.change(deployment.environment_id, drift=None, awaiting_promotion=(), degraded=())
    text = "resumed" if deployment.epoch > 1 else "started"
    _tell(tx, deployment, DeploymentState.RUNNING, text, now)


def end(
    tx: Transaction,
    deployment: Deployment,
    holder: Holder,
    state: DeploymentState,
    failure: Failure | None,
    now: datetime,
    note: str = "",
) -> None:
    """Ends a running deployment; `note` is added to the event's message. Raises `LeaseLost`."""
    tx.deployments.end(*holder, state, failure, now)
    _tell(tx, deployment, state, failure.message if failure else f"{state.value} {note}".rstrip(), now)


def withdraw(
    tx: Transaction, environment: Environment, deployment: Deployment, by: str, failure: Failure, now: datetime
) -> bool:
    """Ends a queued deployment as cancelled; False if it isn't queued any more. A requested environment then fails."""
    if not tx.deployments.withdraw(deployment.id, by, failure, now):
        return False
    if environment.state is State.REQUESTED:
        move(tx, environment, State.FAILED, now, deployment_id=deployment.id, failure=failure)
    _tell(tx, deployment, DeploymentState.CANCELLED, failure.message, now)
    return True


def request_cancel(tx: Transaction, deployment: Deployment, by: str, now: datetime, *, force: bool) -> bool:
    """Asks a running deployment to stop; False if it isn't running any more. A repeated request writes no event."""
    if not tx.deployments.cancel(deployment.id, by, now, force=force):
        return False
    if deployment.cancel_requested_at is None or (force and not deployment.cancel_forced):
        how = " without grace" if force else ""
        _tell(tx, deployment, DeploymentState.RUNNING, f"{by} requested cancellation{how}", now)
    return True


def supersede(tx: Transaction, environment_id: str, now: datetime) -> None:
    """Supersedes deployments for a destroy: ends queued ones, and asks the running one to stop."""
    for ended in tx.deployments.supersede(environment_id, now):
        _tell_ended(tx, ended, DeploymentState.SUPERSEDED, now)


def set_aside(tx: Transaction, deployment_id: str, worker: str, wait: float, failure: Failure, now: datetime) -> None:
    """Takes a deployment that can't be read out of the queue, so that the others don't wait for it.

    A destroy is only postponed, by `wait` seconds, because what is left must be removed. Any other deployment fails,
    and so does its environment if the deployment had begun. The environment may be unreadable too, so only its state is
    read.
    """
    deployment = tx.deployments.ref(deployment_id)
    environment_id = deployment.environment_id
    name, state = tx.environments.name_and_state(environment_id)
    failed = tx.deployments.set_aside(deployment_id, worker, wait, failure, now)
    tx.events.add(EventType.LOG, environment_id, now, deployment_id=deployment_id, message=failure.message)
    if failed:
        _tell_ended(tx, deployment, DeploymentState.FAILED, now)
    if failed and state in BUSY and State.FAILED in MOVES[state]:
        tx.environments.set_state(environment_id, State.FAILED, now, failure=failure)
        message = f"{name} is {State.FAILED.value}"
        _tell_environment(tx, environment_id, State.FAILED, message, now, deployment_id=deployment_id)


def _tell_environment(
    tx: Transaction,
    environment_id: str,
    state: State,
    message: str,
    now: datetime,
    *,
    data: Mapping[str, Any] | None = None,
    deployment_id: str | None = None,
) -> None:
    tx.events.add(
        EventType.ENVIRONMENT_STATE,
        environment_id,
        now,
        deployment_id=deployment_id,
        message=message,
        data={"state": state.value, **(data or {})},
    )


def _tell(tx: Transaction, deployment: Deployment, state: DeploymentState, text: str, now: datetime) -> None:
    which = DeploymentRef(deployment.id, deployment.environment_id, deployment.kind)
    _tell_deployment(tx, which, state, text, now)


def _tell_ended(tx: Transaction, ended: DeploymentRef, state: DeploymentState, now: datetime) -> None:
    _tell_deployment(tx, ended, state, state.value, now)


def _tell_deployment(tx: Transaction, which: DeploymentRef, state: DeploymentState, text: str, now: datetime) -> None:
    kind = which.kind.value
    tx.events.add(
        EventType.DEPLOYMENT_STATE,
        which.environment_id,
        now,
        deployment_id=which.id,
        message=f"{kind}: {text}",
        data={"state": state.value, "kind": kind},
    )
