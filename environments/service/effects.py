"""What requests to create, update and destroy do, in the caller's transaction.

Whoever asks can record there that it was done. `switching.switch` and `extending.extend_to` do the same.

Each checks what the request checks. `environment` was read in the same transaction, so that it can't change. `asked`
says for whom and why the deployment is queued.
"""

from dataclasses import replace

from environments.domain.commands import CreateEnvironment, UpdateEnvironment
from environments.domain.environment import Environment
from environments.domain.lifecycle import DeploymentKind, check_request
from environments.service import enqueue
from environments.service.authorization import Action, Allowed, Principal, check_role, may
from environments.service.checking import Verdicts
from environments.service.drafting import new_environment, updated
from environments.service.enqueue import DeploymentRequest, Sealer
from environments.service.records import Accepted, accepted
from environments.service.running_again import WhyNot, any_step
from environments.service.storage.transaction import Transaction


def create(
    tx: Transaction,
    principal: Principal,
    request: CreateEnvironment,
    environment_id: str,
    asked: DeploymentRequest,
    verdicts: Verdicts,
    sealer: Sealer,
) -> Accepted:
    """Creates an environment and queues its deployment. Raises what `Requests.create` does, inside `settle`."""
    draft = new_environment(tx, principal, request, environment_id, asked.now, verdicts)
    deployment = enqueue.create(tx, draft, sealer, asked)
    return accepted(tx, draft.environment, deployment)


def update(
    tx: Transaction,
    principal: Principal,
    environment: Environment,
    request: UpdateEnvironment,
    asked: DeploymentRequest,
    verdicts: Verdicts,
    sealer: Sealer,
    why_not_again: WhyNot = any_step,
) -> Accepted:
    """Queues an update. Raises what `Requests.update` does, inside `settle`."""
    check_role(tx, principal, Action.ENVIRONMENT_UPDATE, environment)
    check_request(environment.name, environment.state, DeploymentKind.UPDATE)
    draft = updated(tx, principal, environment, request, asked.now, verdicts, why_not_again)
    if draft.run_again:
        asked = replace(asked, reason=f"{asked.reason}, to run {' and '.join(draft.run_again)} again")
    deployment = enqueue.update(tx, draft, sealer, asked)
    return accepted(tx, draft.environment, deployment)


def destroy(tx: Transaction, principal: Principal, environment: Environment, asked: DeploymentRequest) -> Accepted:
    """Queues a destroy, which supersedes any other deployment; returns a running destroy."""
    return destroy_allowed(tx, environment, asked, may(tx, principal, Action.ENVIRONMENT_DESTROY, environment))


def destroy_allowed(tx: Transaction, environment: Environment, asked: DeploymentRequest, allowed: Allowed) -> Accepted:
    """Likewise, for whoever may do so by another action, such as a retry."""
    environment, deployment = enqueue.destroy(tx, environment, asked, allowed)
    if deployment.id != asked.id:  # it is being destroyed already
        return Accepted(environment, deployment.id)
    return accepted(tx, environment, deployment)
