"""Writes what people, the clock and the engine ask for: the environment, its deployment and the events, together.

Everything here happens in the caller's transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from environments.domain.environment import Deployment, Environment, EventType
from environments.domain.errors import NotAllowedNow
from environments.domain.lifecycle import ENDED, DeploymentKind, DeploymentState, State, check_move, way_on
from environments.service.authorization import Allowed
from environments.service.drafting import Draft
from environments.service.running_again import left_to_run
from environments.service.storage import Transaction

_SECRETS_STAY = "; secret parameters stay as they are in OpenBao"


class Sealer(Protocol):
    """Encrypts what must wait in the database until OpenBao takes it."""

    def seal(self, secrets: dict[str, Any]) -> bytes:
        """The secrets (name → a JSON value) encrypted, and only to be read with the key of this service."""
        ...

    def unseal(self, sealed: bytes) -> dict[str, Any]:
        """What was sealed."""
        ...

    def derive(self, label: str) -> bytes:
        """32 bytes that follow from the key of this service and a label, and give neither away."""
        ...


@dataclass(frozen=True)
class Asked:
    """Who asks for a deployment, why and when, and the id that it gets. `plan_id`: the plan that it keeps to."""

    id: str
    by: str
    reason: str
    now: datetime
    plan_id: str | None = None
    by_machine: bool = False


def create(tx: Transaction, draft: Draft, sealer: Sealer, asked: Asked) -> Deployment:
    """A new environment, to be deployed. Raises `NameTaken`."""
    environment = draft.environment
    tx.environments.add(environment, sealer.seal(draft.secrets) if draft.secrets else None)
    tx.events.add(
        EventType.ENVIRONMENT_REQUESTED,
        environment.id,
        asked.now,
        message=f"{asked.by} asked for {environment.name} ({environment.template})",
        data={"deadline": environment.deadline.isoformat() if environment.deadline else None},
    )
    return queue(tx, environment, DeploymentKind.CREATE, asked, draft.allowed)


def change(tx: Transaction, draft: Draft, sealer: Sealer, asked: Asked) -> Deployment:
    """An environment that is to become as the draft has it. Raises `NotAllowedNow` while something waits or runs."""
    environment, sealed = draft.environment, {}
    if draft.secrets:
        waiting = tx.environments.sealed(environment.id)
        known = sealer.unseal(waiting) if waiting else {}
        sealed = {"sealed": sealer.seal({**known, **draft.secrets})}
    tx.environments.change(environment.id, **_asked_for(environment), **sealed)
    return queue(tx, environment, DeploymentKind.UPDATE, asked, draft.allowed, run_again=draft.run_again)


def roll_back(tx: Transaction, draft: Draft, asked: Asked) -> Deployment:
    """An environment that is to be again what an earlier deployment made it. Raises `NotAllowedNow` likewise.

    Secret parameters stay as they are in OpenBao; those that came with an update that didn't get there are dropped.
    """
    environment = draft.environment
    tx.environments.change(environment.id, **_asked_for(environment), sealed=None)
    return queue(tx, environment, DeploymentKind.UPDATE, asked, draft.allowed, rollback_to=draft.rollback_to)


def _asked_for(environment: Environment) -> dict[str, Any]:
    return {name: getattr(environment, name) for name in ("bundle", "template_version", "parameters")}


def destroy(
    tx: Transaction, environment: Environment, asked: Asked, allowed: Allowed
) -> tuple[Environment, Deployment]:
    """Destroys now, whatever runs; one that is being destroyed already keeps its deployment. Raises `NotAllowedNow`."""
    running = [run for run in tx.deployments.unfinished(environment.id) if run.kind is DeploymentKind.DESTROY]
    if running:
        return environment, running[0]
    if environment.state in ENDED:
        raise NotAllowedNow(
            f"Environment {environment.name!r} is {environment.state.value} already.",
            hint=way_on(environment.name, environment.state),
        )
    tx.deployments.supersede(environment.id, asked.now)
    check_move(environment.name, environment.state, State.DESTROYING)
    changes: dict[str, Any] = {
        "state": State.DESTROYING,
        "state_since": asked.now,
        "destroy_again_at": None,
        "awaiting_promotion": (),
    }
    tx.environments.change(environment.id, **changes)
    tx.events.add(
        EventType.ENVIRONMENT_STATE,
        environment.id,
        asked.now,
        message=f"{environment.name} is being destroyed: {asked.reason}",
        data={"state": State.DESTROYING.value},
    )
    environment = environment.model_copy(update=changes)
    return environment, queue(tx, environment, DeploymentKind.DESTROY, asked, allowed)


def queue(
    tx: Transaction,
    environment: Environment,
    kind: DeploymentKind,
    asked: Asked,
    allowed: Allowed,
    *,
    rollback_to: str | None = None,
    run_again: Sequence[str] = (),
) -> Deployment:
    """Puts a deployment of the environment as it is to be into the queue. `allowed` has to be for just that.

    One that goes on with another (a retry, a repair) also runs again what that one was to run again and didn't.

    Raises `NotAllowedNow` while another one waits or runs; a destroy goes before them.
    """
    if not allowed.covers(environment, kind):
        raise TypeError(f"{allowed} is not for {kind.value} of {environment.id} with {environment.bundle}")
    if kind is not DeploymentKind.DESTROY and tx.deployments.unfinished(environment.id):
        raise NotAllowedNow(
            f"A deployment of environment {environment.name!r} is already queued or running.",
            hint=f"`calvinverse env watch {environment.name}` follows it, `calvinverse env cancel {environment.name}` "
            "stops it.",
        )
    goes_on = kind in (DeploymentKind.CREATE, DeploymentKind.REPAIR)
    deployment = Deployment(
        id=asked.id,
        environment_id=environment.id,
        kind=kind,
        state=DeploymentState.QUEUED,
        reason=asked.reason,
        requested_by=asked.by,
        requested_at=asked.now,
        bundle=environment.bundle,
        template=environment.template,
        parameters=environment.parameters,
        plan_id=asked.plan_id,
        rollback_to=rollback_to,
        by_machine=asked.by_machine,
        template_limit=_limit(tx, environment, kind),
        run_again=left_to_run(tx, environment) if goes_on else dict.fromkeys(run_again, asked.id),
    )
    tx.deployments.add(deployment)
    tx.events.add(
        EventType.DEPLOYMENT_REQUESTED,
        environment.id,
        asked.now,
        deployment_id=deployment.id,
        message=f"{kind.value} of {environment.name}: {asked.reason}{_SECRETS_STAY if rollback_to else ''}",
        data={"kind": kind.value, "state": deployment.state.value, "rollback_to": rollback_to},
    )
    return deployment


def _limit(tx: Transaction, environment: Environment, kind: DeploymentKind) -> int | None:
    # Destroys have none, and must not depend on whether this version can read the template.
    bundle = None if kind is DeploymentKind.DESTROY else tx.templates.bundle(environment.bundle)
    return None if bundle is None else bundle.template().limit
