"""Queues deployments: writes the environment, its deployment and the events in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from environments.domain.environment import Deployment, Environment
from environments.domain.errors import NotAllowedNow
from environments.domain.lifecycle import ENDED, DeploymentKind, DeploymentState, State, way_on
from environments.domain.timing import Because
from environments.service import transitions
from environments.service.authorization import CLOCK, Allowed
from environments.service.deadlines import read_template, tell_moved
from environments.service.drafting import Draft
from environments.service.running_again import left_to_run
from environments.service.storage.transaction import Transaction

_SECRETS_STAY = "; secret parameters stay as they are in OpenBao"


class Sealer(Protocol):
    """Encrypts secrets that are stored in the database until they are written to OpenBao."""

    def seal(self, secrets: dict[str, Any]) -> bytes:
        """Encrypts secrets (name → JSON value) with the key of this service."""
        ...

    def unseal(self, sealed: bytes) -> dict[str, Any]:
        """Decrypts what `seal` returned."""
        ...

    def derive(self, label: str) -> bytes:
        """32 bytes derived from the key of this service and a label; neither can be computed from them."""
        ...


@dataclass(frozen=True)
class DeploymentRequest:
    """Who requests a deployment, why and when, and the id that it gets. `plan_id`: the plan that it applies."""

    id: str
    by: str
    reason: str
    now: datetime
    plan_id: str | None = None
    by_machine: bool = False
    because: Because | None = None
    """The rule of the calendar that asks for it."""
    hops: int = 0
    """How many triggers led to it."""


def create(tx: Transaction, draft: Draft, sealer: Sealer, request: DeploymentRequest) -> Deployment:
    """Adds an environment and queues its first deployment. Raises `NameTaken`."""
    environment = draft.environment
    sealed = sealer.seal(draft.secrets) if draft.secrets else None
    transitions.request(tx, environment, sealed, request.by, request.now)
    return add(tx, environment, DeploymentKind.CREATE, request, draft.allowed)


_OF_A_VERSION = (
    "bundle",
    "template_version",
    "parameters",
    "network",
    "template_rules_from",
    "deadline",
    "deadline_because",
    "deadline_moves",
    "maximum_deadline",
    "warned",
    "warn_at",
    "switch_at",
    "switch_action",
    "warned_at",
    "hold_id",
    "hold_released",
)
"""The columns that another version of the template, or other parameters, may change."""


def update(tx: Transaction, draft: Draft, sealer: Sealer, request: DeploymentRequest) -> Deployment:
    """Queues an update to what the draft says. Raises `NotAllowedNow` while a deployment is queued or running."""
    environment, sealed = draft.environment, {}
    if draft.secrets:
        waiting = tx.environments.sealed(environment.id)
        known = sealer.unseal(waiting) if waiting else {}
        sealed = {"sealed": sealer.seal({**known, **draft.secrets})}
    _change(tx, environment, request.now, **sealed)
    return add(tx, environment, DeploymentKind.UPDATE, request, draft.allowed, run_again=draft.run_again)


def roll_back(tx: Transaction, draft: Draft, request: DeploymentRequest) -> Deployment:
    """Queues an update back to what an earlier deployment applied. Raises as `update` does.

    Secret parameters stay as they are in OpenBao; new ones of an update that failed before storing them are dropped.
    """
    environment = draft.environment
    _change(tx, environment, request.now, sealed=None)
    return add(tx, environment, DeploymentKind.UPDATE, request, draft.allowed, rollback_to=draft.rollback_to)


def _change(tx: Transaction, environment: Environment, now: datetime, **more: Any) -> None:
    asked_for = {name: getattr(environment, name) for name in _OF_A_VERSION}
    before = tx.environments.get(environment.id)
    tx.environments.change(environment.id, **asked_for, **more)
    if before is not None:
        tell_moved(tx, before, now, f"version {environment.template_version} of its template", asked_for)


def destroy(
    tx: Transaction, environment: Environment, request: DeploymentRequest, allowed: Allowed
) -> tuple[Environment, Deployment]:
    """Queues a destroy, which supersedes any other deployment. Returns a running destroy. Raises `NotAllowedNow`."""
    running = [run for run in tx.deployments.unfinished(environment.id) if run.kind is DeploymentKind.DESTROY]
    if running:
        return environment, running[0]
    if environment.state in ENDED:
        raise NotAllowedNow(
            f"Environment {environment.name!r} is {environment.state.value} already.",
            hint=way_on(environment.name, environment.state),
        )
    if request.by == CLOCK.owner and request.because is None and environment.state is not State.DESTROY_FAILED:
        # Another try after a failure isn't because of the deadline: a person may have asked for the first one.
        request = replace(request, because=environment.deadline_because)
    transitions.supersede(tx, environment.id, request.now)
    environment = transitions.move(
        tx,
        environment,
        State.DESTROYING,
        request.now,
        message=f"{environment.name} is being destroyed: {request.reason}",
        destroy_again_at=None,
        awaiting_promotion=(),
    )
    return environment, add(tx, environment, DeploymentKind.DESTROY, request, allowed)


def add(
    tx: Transaction,
    environment: Environment,
    kind: DeploymentKind,
    request: DeploymentRequest,
    allowed: Allowed,
    *,
    rollback_to: str | None = None,
    run_again: Sequence[str] = (),
) -> Deployment:
    """Queues a deployment that makes what the environment's record says. `allowed` must cover exactly that.

    A retry or a repair also runs the steps that the previous deployment was to run again and didn't.

    Raises `NotAllowedNow` while another deployment is queued or running, except for a destroy; and `InvalidTemplate`
    for a template that this version can't read, except for a destroy and a stop.
    """
    if not allowed.covers(environment, kind):
        raise TypeError(f"{allowed} is not for {kind.value} of {environment.id} with {environment.bundle}")
    if kind is not DeploymentKind.DESTROY and tx.deployments.unfinished(environment.id):
        raise NotAllowedNow(
            f"A deployment of environment {environment.name!r} is already queued or running.",
            hint=f"`calvinverse env watch {environment.name}` follows it, `calvinverse env cancel {environment.name}` "
            "stops it.",
        )
    if environment.switch_again_at is not None:  # this one takes the place of what would have been tried again
        tx.environments.change(environment.id, switch_again_at=None)
    goes_on = kind in (DeploymentKind.CREATE, DeploymentKind.REPAIR)
    deployment = Deployment(
        id=request.id,
        environment_id=environment.id,
        kind=kind,
        state=DeploymentState.QUEUED,
        reason=request.reason,
        requested_by=request.by,
        requested_at=request.now,
        bundle=environment.bundle,
        template=environment.template,
        parameters=environment.parameters,
        plan_id=request.plan_id,
        rollback_to=rollback_to,
        by_machine=request.by_machine,
        because=request.because,
        hops=request.hops,
        template_limit=_limit(tx, environment, kind),
        run_again=left_to_run(tx, environment) if goes_on else dict.fromkeys(run_again, request.id),
    )
    message = f"{kind.value} of {environment.name}: {request.reason}{_SECRETS_STAY if rollback_to else ''}"
    transitions.queue(tx, deployment, message)
    return deployment


def _limit(tx: Transaction, environment: Environment, kind: DeploymentKind) -> int | None:
    # Destroys have no limit. They and stops must not depend on whether this version can read the template.
    if kind is DeploymentKind.DESTROY:
        return None
    if kind is DeploymentKind.STOP:
        template = read_template(tx, environment)
        return None if template is None else template.limit
    bundle = tx.templates.bundle(environment.bundle)
    return None if bundle is None else bundle.template().limit
