"""Requests to repair, promote, roll back and abandon an environment."""

from collections.abc import Callable
from datetime import datetime, timedelta

from environments.domain.counting import counted
from environments.domain.deadline import observe_again_after
from environments.domain.environment import Environment
from environments.domain.errors import NotAllowedNow
from environments.domain.lifecycle import DeploymentKind, ResourceStatus, State, check_request
from environments.service import enqueue, transitions
from environments.service.authorization import (
    REMOVED_OUTSIDE,
    Action,
    Principal,
    check_role,
    environment_to_change,
    may,
)
from environments.service.drafting import check_awaiting, rolled_back
from environments.service.enqueue import DeploymentRequest
from environments.service.records import Accepted, accepted
from environments.service.storage.transaction import Storage, Transaction


class Recovery:
    """Queues these requests; the engine carries them out."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime], new_id: Callable[[str], str]) -> None:
        self._storage = storage
        self._clock = clock
        self._new_id = new_id

    def repair(self, principal: Principal, name: str) -> Accepted:
        """Queues a repair: the environment becomes what its template and parameters say.

        Unexpected things stay untouched. Raises `NotAllowedNow`.
        """
        with self._storage.write() as tx:
            environment = environment_to_change(tx, principal, name)
            allowed = may(tx, principal, Action.ENVIRONMENT_REPAIR, environment)
            check_request(environment.name, environment.state, DeploymentKind.REPAIR)
            new = DeploymentRequest(self._new_id("dep"), principal.owner, "repaired", self._clock())
            deployment = enqueue.add(tx, environment, DeploymentKind.REPAIR, new, allowed)
            return accepted(tx, environment, deployment)

    def promote(self, principal: Principal, name: str) -> Accepted:
        """Queues a promotion of the new versions that await it.

        Raises `NotAllowedNow`, also when none waits.
        """
        with self._storage.write() as tx:
            environment = environment_to_change(tx, principal, name)
            allowed = may(tx, principal, Action.ENVIRONMENT_PROMOTE, environment)
            check_request(environment.name, environment.state, DeploymentKind.PROMOTE)
            check_awaiting(environment)
            steps = ", ".join(environment.awaiting_promotion)
            new = DeploymentRequest(self._new_id("dep"), principal.owner, f"promotion of {steps}", self._clock())
            deployment = enqueue.add(tx, environment, DeploymentKind.PROMOTE, new, allowed)
            return accepted(tx, environment, deployment)

    def rollback(self, principal: Principal, name: str, deployment: str | None = None) -> Accepted:
        """Queues an update back to what the last good deployment applied, or the one with the id `deployment`.

        Secret parameters stay as they are in OpenBao. Raises `NotAllowedNow`, also when there is nothing to roll back
        to, `NotFound` for a deployment that isn't this environment's, and `Forbidden` for a version of the template
        that asks for host volumes, unless an admin asks.
        """
        with self._storage.write() as tx:
            environment = environment_to_change(tx, principal, name)
            check_role(tx, principal, Action.ENVIRONMENT_ROLL_BACK, environment)
            check_request(environment.name, environment.state, DeploymentKind.UPDATE)
            now = self._clock()
            draft = rolled_back(tx, principal, environment, deployment, now)
            new = DeploymentRequest(self._new_id("dep"), principal.owner, f"back to {draft.rollback_to}", now)
            return accepted(tx, draft.environment, enqueue.roll_back(tx, draft, new))

    def abandon(self, principal: Principal, name: str, reason: str) -> Environment:
        """Abandons what a failed destroy has left: the record stays, and the service continues to observe it.

        The name stays reserved until nothing is left; a second request observes it at once. Raises `NotAllowedNow`
        unless a destroy has failed.
        """
        now = self._clock()
        with self._storage.write() as tx:
            environment = environment_to_change(tx, principal, name, REMOVED_OUTSIDE)
            may(tx, principal, Action.ENVIRONMENT_ABANDON, environment)
            if environment.state is State.ABANDONED:
                return self._observe_again(tx, environment, now)
            if environment.state is not State.DESTROY_FAILED:
                raise NotAllowedNow(
                    f"Environment {environment.name!r} is {environment.state.value}: only what could not be destroyed "
                    "is abandoned.",
                    hint="Destroy it first.",
                )
            left = [
                resource
                for resource in tx.inventory.of(environment.id)
                if resource.status not in (ResourceStatus.GONE, ResourceStatus.ABANDONED)
            ]
            for resource in left:
                detail = f"abandoned by {principal.owner}: {reason}"
                detail += f" (last seen: {resource.detail})" if resource.detail else ""
                tx.inventory.set(environment.id, resource.kind, resource.address, ResourceStatus.ABANDONED, detail, now)
            return transitions.move(
                tx,
                environment,
                State.ABANDONED,
                now,
                message=f"{principal.owner} abandoned {environment.name} with {counted(len(left), 'resource')} that "
                f"may be left: {reason}. Its name stays reserved until nothing of it is found",
                data={
                    "reason": reason,
                    "left": [f"{resource.kind} {resource.address}" for resource in left],
                },
                destroyed_at=now,
                destroy_again_at=None,
                sealed=None,
                observe_at=now + observe_again_after(timedelta(0)),
            )

    def _observe_again(self, tx: Transaction, environment: Environment, now: datetime) -> Environment:
        if environment.observe_at is None:
            raise NotAllowedNow(
                f"Environment {environment.name!r} was abandoned, and nothing is left of it.", hint="Its name is free."
            )
        tx.environments.change(environment.id, observe_at=now)
        return environment.model_copy(update={"observe_at": now})
