"""What a cancel leaves behind: the sentence about it, and an environment that is as it was if nothing had begun."""

from collections.abc import Sequence
from typing import Any

from environments.domain.environment import Deployment, Environment, Failure
from environments.domain.errors import Cancelled
from environments.domain.lifecycle import DeploymentKind, State
from environments.service.storage import Transaction

UNTOUCHED = "The environment is as it was."
"""The hint of a cancel that came before anything had begun in an environment that was there before."""


def cancelled(deployment: Deployment, by: str, running: Sequence[str], *, untouched: bool) -> Failure:
    """What people read; `running` are the steps that were interrupted."""
    while_running = f" while {', '.join(running)} ran" if running else ""
    return Failure(
        code=Cancelled.code,
        message=f"{by} cancelled the {deployment.kind.value}{while_running}.",
        hint=UNTOUCHED if untouched else Cancelled.default_hint,
    )


def taken_back(tx: Transaction, environment: Environment, deployment: Deployment) -> dict[str, Any]:
    """The columns of an environment that a request had changed before its deployment began, as they were.

    They are what the newest deployment that began was asked to apply. New secrets that wait for their deployment are
    taken out with them, unless older ones may wait beside them.
    """
    changes: dict[str, Any] = {}
    before = _began_last(tx, environment, deployment)
    # One from before deployments kept what they were asked to apply can't say.
    if before is not None and before.template and before.bundle != environment.bundle:
        bundle = tx.templates.bundle(before.bundle)
        if bundle is not None:
            changes |= {"bundle": before.bundle, "template_version": bundle.template().version}
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
