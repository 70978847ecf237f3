"""The resources that earlier deployments of an environment made, and those that the present template doesn't name."""

from collections.abc import Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from environments.domain.environment import Resource, StepRecord
from environments.domain.lifecycle import StepState
from environments.domain.plan import Action, Change
from environments.domain.template import Bundle
from environments.engine.previous_step import PreviousStep, previous_steps
from environments.engine.removal import OVER, UNKNOWN, Inspector, reversed_order
from environments.service.storage.transaction import Transaction
from environments.steps.base import Presence

OUTDATED = "outdated"
"""The fingerprint of changes by which the engine destroys something; changes of an executor have other ones."""

_SIDE_BY_SIDE = 8


class History(NamedTuple):
    """The records of an environment's earlier deployments. `held`: the places that the environment holds.

    `finished`: jobs that ran to completion; see `environments.steps.base.StepContext`. `before`: for each step with a
    resource for which that is unknown, the inputs and the template with which the step was last done.
    """

    inventory: Sequence[Resource]
    latest: dict[str, StepRecord]
    previous: dict[str, PreviousStep]
    held: frozenset[tuple[str, str]] = frozenset()
    finished: Mapping[tuple[str, str], tuple[str, ...] | None] = {}
    before: Mapping[str, tuple[str, Bundle]] = {}


NO_HISTORY = History((), {}, {})
"""The history of an environment before its first deployment."""


def read_history(tx: Transaction, environment_id: str, besides: str | None = None) -> History:
    """The environment's history without the running deployment, `besides`."""
    inventory, latest = tx.inventory.of(environment_id), tx.journal.latest(environment_id)
    finished = tx.inventory.finished(environment_id)
    unknown = {found.step for found in inventory if finished.get((found.kind, found.address), ()) is None}
    return History(
        inventory,
        latest,
        previous_steps(tx, environment_id, besides),
        tx.inventory.held(environment_id),
        finished,
        {name: before for name in unknown if name in latest and (before := _done_with(tx, latest[name])) is not None},
    )


def _done_with(tx: Transaction, step: StepRecord) -> tuple[str, Bundle] | None:
    """The inputs and the template with which a step was done; None if it wasn't."""
    deployment = tx.deployments.get(step.deployment_id) if step.state is StepState.DONE and step.inputs else None
    bundle = None if deployment is None else tx.templates.bundle(deployment.bundle)
    return None if bundle is None else (step.inputs, bundle)


def of_step(inventory: Sequence[Resource], step: str) -> list[Resource]:
    """The resources of a step that may exist, the last made first."""
    return [found for found in reversed(inventory) if found.step == step and found.status not in OVER]


def unclaimed(inspector: Inspector, resources: Sequence[Resource], claims: Set[tuple[str, str]]) -> list[Resource]:
    """The resources that no step claims (`claims`: kind and address), in the same order."""
    return [
        found
        for found in resources
        if found.status not in OVER and (found.kind, found.address) not in claims and not inspector.is_inner(found)
    ]


def other_kinds(previous: PreviousStep | None, uses: str) -> list[str]:
    """The kinds that a step had before, other than `uses`."""
    return [kind for kind in previous.uses if kind != uses] if previous else []


def steps_to_remove(history: History, kept: set[str]) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """The steps to remove, which aren't in `kept`, in order: name → what is removed before it; name → kinds."""
    made_by = {str(found.step) for found in history.inventory if found.step is not None and found.status not in OVER}
    names = (set(history.previous) | made_by) - kept
    needs = {name: previous.needs for name, previous in history.previous.items()}
    uses = {name: history.previous[name].uses if name in history.previous else (UNKNOWN,) for name in names}
    return reversed_order(needs, names), uses


def to_destroy(inspector: Inspector, resources: Sequence[Resource]) -> tuple[Change, ...]:
    """A change for each of the resources that exists. Raises `BackendUnavailable`."""
    wanted = [found for found in resources if found.status not in OVER]
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        seen = list(pool.map(inspector.observe, wanted))
    return tuple(
        Change(
            kind=resource.kind,
            address=resource.address,
            action=Action.DESTROY,
            details=(found.detail,) if found.detail else (),
            fingerprint=OUTDATED,
        )
        for resource, found in zip(wanted, seen, strict=True)
        if found.presence is Presence.OURS
    )
