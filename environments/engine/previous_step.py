"""Finds steps that may still have resources: those of all deployments since the last one that completed every step."""

from dataclasses import dataclass

from environments.domain.errors import InvalidTemplate
from environments.domain.lifecycle import DeploymentKind, DeploymentState, StepState
from environments.domain.template import RESERVED_STEPS
from environments.service.storage.transaction import Transaction


@dataclass(frozen=True)
class PreviousStep:
    """A step of earlier deployments: all its kinds, the newest first, and the steps that it needed."""

    uses: tuple[str, ...]
    needs: tuple[str, ...]


def previous_steps(tx: Transaction, environment_id: str, besides: str | None = None) -> dict[str, PreviousStep]:
    """Name → step, for steps that earlier deployments of the environment began and no later one removed.

    Leaves out the running deployment, `besides`, and deployments before the newest one that completed every step: that
    one removed what it didn't need.
    """
    found: dict[str, PreviousStep] = {}
    gone: set[str] = set()
    for deployment in tx.deployments.of(environment_id):
        if deployment.id == besides or deployment.kind in (DeploymentKind.DESTROY, DeploymentKind.STOP):
            continue
        rows, needs = tx.journal.steps(deployment.id), tx.journal.needs(deployment.id)
        names = _names(tx, deployment.bundle) or {row.name for row in rows}
        for row in rows:
            if row.name in RESERVED_STEPS:
                continue
            if row.name not in names:  # a step that this deployment removed, or was about to
                if row.state is StepState.DONE and row.name not in found:
                    gone.add(row.name)
            elif row.attempts and row.name not in gone:
                known = found.get(row.name, PreviousStep((), needs[row.name]))
                found[row.name] = PreviousStep((*known.uses, *({row.uses} - set(known.uses))), known.needs)
        if deployment.state is DeploymentState.SUCCEEDED and all(row.state is StepState.DONE for row in rows):
            break
    return found


def _names(tx: Transaction, digest: str) -> set[str]:
    bundle = tx.templates.bundle(digest)
    try:
        return set() if bundle is None else {step.name for step in bundle.template().steps}
    except InvalidTemplate:
        return set()  # an older version could read the template: every row of its journal counts as a step
