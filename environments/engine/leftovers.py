"""What an environment has of earlier versions of its template, and the present one doesn't name any more."""

from collections.abc import Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from environments.domain.environment import Resource, StepRecord
from environments.domain.lifecycle import StepState
from environments.domain.plan import Action, Change
from environments.domain.template import Bundle
from environments.engine.previous_step import PreviousStep, previous_steps
from environments.engine.removal import OVER, UNKNOWN, Inspector, reversed_order
from environments.service.storage import Transaction
from environments.steps.base import Presence

OUTDATED = "outdated"
"""Fingerprint of what the engine itself will destroy: an executor's changes have others."""

_SIDE_BY_SIDE = 8


class Stock(NamedTuple):
    """What is known of an environment's past; `held` is what our database knows to be its own.

    `finished` is what ran to its end; see `environments.steps.base.StepContext`. `before`: of steps that made
    something of which that isn't known, the template and the inputs with which they were done last.
    """

    inventory: Sequence[Resource]
    latest: dict[str, StepRecord]
    previous: dict[str, PreviousStep]
    held: frozenset[tuple[str, str]] = frozenset()
    finished: Mapping[tuple[str, str], tuple[str, ...] | None] = {}
    before: Mapping[str, tuple[str, Bundle]] = {}


NOTHING = Stock((), {}, {})
"""Of an environment that hasn't been deployed yet."""


def take_stock(tx: Transaction, environment_id: str, besides: str | None = None) -> Stock:
    """What the database has about the environment; `besides` is the deployment that runs now."""
    inventory, latest = tx.inventory.of(environment_id), tx.journal.latest(environment_id)
    finished = tx.inventory.finished(environment_id)
    unknown = {found.step for found in inventory if finished.get((found.kind, found.address), ()) is None}
    return Stock(
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
    """What a step has made that may be there, the last made first."""
    return [found for found in reversed(inventory) if found.step == step and found.status not in OVER]


def unclaimed(inspector: Inspector, resources: Sequence[Resource], claims: Set[tuple[str, str]]) -> list[Resource]:
    """Those that no step names any more (`claims`: kind and address), in the same order."""
    return [
        found
        for found in resources
        if found.status not in OVER and (found.kind, found.address) not in claims and not inspector.is_inner(found)
    ]


def other_kinds(previous: PreviousStep | None, uses: str) -> list[str]:
    """The kinds that a kept step was of before, if it is of another one now."""
    return [kind for kind in previous.uses if kind != uses] if previous else []


def steps_to_remove(stock: Stock, kept: set[str]) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """The steps that are no longer in the template, in the order of going: name → what goes before it; name → kinds."""
    made_by = {str(found.step) for found in stock.inventory if found.step is not None and found.status not in OVER}
    names = (set(stock.previous) | made_by) - kept
    needs = {name: previous.needs for name, previous in stock.previous.items()}
    uses = {name: stock.previous[name].uses if name in stock.previous else (UNKNOWN,) for name in names}
    return reversed_order(needs, names), uses


def to_destroy(inspector: Inspector, resources: Sequence[Resource]) -> tuple[Change, ...]:
    """A change for each of the resources that is there. Raises `BackendUnavailable`."""
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
