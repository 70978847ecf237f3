"""The steps that an environment may still have something of: those of the deployments since the last whole one."""

from dataclasses import dataclass

from environments.domain.errors import InvalidTemplate
from environments.domain.lifecycle import DeploymentKind, DeploymentState, StepState
from environments.domain.template import RESERVED_STEPS
from environments.service.storage import Transaction


@dataclass(frozen=True)
class Former:
    """A step as deployments had it: every kind that it was of, the newest first, and what it needed."""

    uses: tuple[str, ...]
    needs: tuple[str, ...]


def former_steps(tx: Transaction, environment_id: str, besides: str | None = None) -> dict[str, Former]:
    """The steps, by name, that earlier deployments of the environment began, unless one of them took them away since.

    `besides` is the deployment that runs now. Older ones than the newest that did everything don't count: that one has
    taken away what they had more.
    """
    found: dict[str, Former] = {}
    gone: set[str] = set()
    for deployment in tx.deployments.of(environment_id):
        if deployment.id == besides or deployment.kind is DeploymentKind.DESTROY:
            continue
        rows, needs = tx.journal.steps(deployment.id), tx.journal.needs(deployment.id)
        names = _names(tx, deployment.bundle) or {row.name for row in rows}
        for row in rows:
            if row.name in RESERVED_STEPS:
                continue
            if row.name not in names:  # a step that this deployment took away, or was about to
                if row.state is StepState.DONE and row.name not in found:
                    gone.add(row.name)
            elif row.attempts and row.name not in gone:
                known = found.get(row.name, Former((), needs[row.name]))
                found[row.name] = Former((*known.uses, *({row.uses} - set(known.uses))), known.needs)
        if deployment.state is DeploymentState.SUCCEEDED and all(row.state is StepState.DONE for row in rows):
            break
    return found


def _names(tx: Transaction, digest: str) -> set[str]:
    bundle = tx.templates.bundle(digest)
    try:
        return set() if bundle is None else {step.name for step in bundle.template().steps}
    except InvalidTemplate:
        return set()  # of a version that could read it: all that it did counts as steps
