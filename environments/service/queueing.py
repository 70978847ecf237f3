"""The queue of deployments: why one waits, which worker runs what, and cancelling."""

from collections.abc import Callable
from datetime import datetime

from environments.domain.environment import Deployment, Environment
from environments.domain.errors import NotAllowedNow, NotFound
from environments.domain.lifecycle import DeploymentKind, State
from environments.service import transitions
from environments.service.authorization import STOPPED_OUTSIDE, Action, Principal, environment_to_change, may, sees
from environments.service.cancellation import cancellation_failure, reverted_columns
from environments.service.deadlines import tell_moved
from environments.service.pages import Page
from environments.service.pending import pending
from environments.service.records import Journaled, Pending, Worker, with_journal
from environments.service.storage.deployments import WorkerRecord
from environments.service.storage.transaction import Storage, Transaction


class Queueing:
    """Explains the queue, and cancels deployments."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._clock = clock

    def why(self, principal: Principal, deployment_id: str) -> Pending:
        """Why a deployment waits, what it does, or how it ended. Raises `NotFound`."""
        now = self._clock()
        with self._storage.read() as tx:
            deployment = tx.deployments.get(deployment_id)
            environment = tx.environments.get(deployment.environment_id) if deployment else None
            if deployment is None or environment is None or not sees(tx, principal, environment):
                raise NotFound(f"There is no deployment {deployment_id!r}.")
            return pending(tx, principal, deployment, now)

    def workers(self, principal: Principal, *, limit: int | None = None, skip: int = 0) -> Page[Worker]:
        """Workers with a recent heartbeat, newest first; users see only their own deployments on each.

        At most `limit`, without the first `skip`.
        """
        with self._storage.read() as tx:
            running = tx.deployments.running()
            found = tx.workers.all(limit=limit, skip=skip)
            seen = tx.environments.visible(principal.sight, {run.environment_id for run in running})

        def with_its_own(worker: WorkerRecord) -> Worker:
            own = (run.id for run in running if run.worker == worker.name and run.environment_id in seen)
            return Worker(worker, tuple(own))

        return found.each(with_its_own)

    def cancel(self, principal: Principal, name: str, *, force: bool = False) -> Journaled:
        """Cancels a queued deployment at once, or requests a running one to stop; `force` ends its grace period.

        A running deployment ends as soon as its steps can stop: the environment is then failed, and can be retried,
        repaired, updated or destroyed. Raises `UnknownEnvironment`, `ManagedOutside`, and `NotAllowedNow` when no
        deployment is queued or running, or it is a destroy.
        """
        now = self._clock()
        with self._storage.write() as tx:
            environment = environment_to_change(tx, principal, name, STOPPED_OUTSIDE)
            may(tx, principal, Action.ENVIRONMENT_CANCEL, environment)
            deployment = _to_cancel(tx, environment)
            # It may have started or ended since it was read.
            if not self._withdraw(tx, principal, environment, deployment, now) and not transitions.request_cancel(
                tx, deployment, principal.owner, now, force=force
            ):
                raise _nothing_to_cancel(environment)
            after = tx.deployments.get(deployment.id)
            assert after is not None
            return with_journal(tx, after)

    def _withdraw(
        self, tx: Transaction, principal: Principal, environment: Environment, deployment: Deployment, now: datetime
    ) -> bool:
        """Cancels a queued deployment; False if it isn't queued."""
        new = environment.state is State.REQUESTED
        failure = cancellation_failure(deployment, principal.owner, (), untouched=not new)
        if not transitions.withdraw(tx, environment, deployment, principal.owner, failure, now):
            return False
        changes = {} if new else reverted_columns(tx, environment, deployment, now)
        if changes:
            tx.environments.change(environment.id, **changes)
            by = principal.owner
            tell_moved(tx, environment, now, f"{by} cancelled its {deployment.kind.value}", changes)
        return True


def _to_cancel(tx: Transaction, environment: Environment) -> Deployment:
    unfinished = tx.deployments.unfinished(environment.id)
    if any(deployment.kind is DeploymentKind.DESTROY for deployment in unfinished):
        raise NotAllowedNow(
            f"Environment {environment.name!r} is being destroyed, and a destroy can't be cancelled.",
            hint="To keep an environment, extend it before its deadline.",
        )
    if not unfinished:
        raise _nothing_to_cancel(environment)
    return unfinished[0]


def _nothing_to_cancel(environment: Environment) -> NotAllowedNow:
    return NotAllowedNow(
        f"No deployment of environment {environment.name!r} is queued or running: it is {environment.state.value}.",
        hint=f"`calvinverse env history {environment.name}` lists its deployments.",
    )
