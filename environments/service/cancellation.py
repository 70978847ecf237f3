"""What a cancelled deployment leaves: its failure, and the environment as it was if the deployment had not begun."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from environments.domain.environment import Deployment, Environment, Failure
from environments.domain.errors import Cancelled
from environments.domain.lifecycle import DeploymentKind, State
from environments.service.deadlines import timed
from environments.service.storage.transaction import Transaction

UNTOUCHED = "The environment is as it was."
"""The hint when an existing environment's deployment is cancelled before it begins."""


def cancellation_failure(deployment: Deployment, by: str, running: Sequence[str], *, untouched: bool) -> Failure:
    """The failure that people read; `running` are the steps that were interrupted."""
    while_running = f" while {', '.join(running)} ran" if running else ""
    return Failure(
        code=Cancelled.code,
        message=f"{by} cancelled the {deployment.kind.value}{while_running}.",
        hint=UNTOUCHED if untouched else Cancelled.default_hint,
    )


def reverted_columns(
    tx: Transaction, environment: Environment, deployment: Deployment, now: datetime
) -> dict[str, Any]:
    """The columns that the request changed, with the values from before it (column → value).

    They are the values that the newest deployment that has begun was to apply. New secrets that wait for the deployment
    are removed too, unless older ones may wait with them.
    """
    changes: dict[str, Any] = {}
    before = _began_last(tx, environment, deployment)
    # Deployments of early versions don't record what they were asked to apply.
    if before is not None and before.template and before.bundle != environment.bundle:
        bundle = tx.templates.bundle(before.bundle)
        if bundle is not None:
            template = bundle.template()
            changes |= {"bundle": before.bundle, "template_version": template.version}
            changes["network"] = environment.network_by(before.bundle, template.network)
            changes |= timed(tx, environment, template, now, **changes, template_rules_from=before.requested_at)
    if before is not None and before.template and before.parameters != environment.parameters:
        changes["parameters"] = before.parameters
    if environment.state is State.READY:
        changes["sealed"] = None
    return changes


def _began_last(tx: Transaction, environment: Environment, deployment: Deployment) -> Deployment | None:
    for other in tx.deployments.of(environment.id):
        if other.id != deployment.id and other.kind is not DeploymentKind.DESTROY and tx.journal.steps(other.id):
            return other
    return None
