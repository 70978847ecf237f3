"""Plans a change by observing the backends: what each step will do, in the order in which the steps will run."""

import threading
import time
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from environments.domain.environment import Resource
from environments.domain.errors import BackendUnavailable, CalvinverseError, InvalidTemplate, NotFound, StepFailed
from environments.domain.lifecycle import DeploymentKind, ResourceStatus, StepState
from environments.domain.plan import Action, Change, StepPlan
from environments.domain.template_parts import Step
from environments.engine.contexts import Contexts, Prepared
from environments.engine.graph import in_order, run_graph
from environments.engine.history import (
    OUTDATED,
    History,
    of_step,
    other_kinds,
    read_history,
    steps_to_remove,
    to_destroy,
    unclaimed,
)
from environments.engine.progress import PlanRun
from environments.engine.removal import SHARED, Inspector, rows_to_destroy, with_reach
from environments.service.images import references
from environments.service.planner import Target
from environments.service.storage.transaction import Storage
from environments.steps.base import Owner
from environments.steps.registry import StepRegistry

_NEVER = datetime.min.replace(tzinfo=UTC)

LONGEST_STEP_PLAN = 120.0
"""Seconds that the plan of one step may take."""

LONGEST_PLAN = 240.0
"""Seconds that the plan of an environment may take; a client waits 300 s."""


class BackendPlanner:
    """Implements `environments.service.planner.Planner`."""

    def __init__(self, storage: Storage, registry: StepRegistry, longest: float = LONGEST_PLAN) -> None:
        self._storage = storage
        self._registry = registry
        self._longest = longest

    def plan(self, target: Target, troubles: MutableMapping[str, str] | None = None) -> tuple[StepPlan, ...]:
        """The changes that make the target; for a destroy, the existing resources."""
        budget = _Budget(self._longest)
        with self._storage.read() as tx:
            history = read_history(tx, target.environment.id)
            shared = tx.inventory.shared_by_rank(target.environment.id)
            held = tx.inventory.held(target.environment.id, gone=True)
            images = references(tx)
        if target.kind is DeploymentKind.DESTROY:
            return self._destroy(target, history._replace(held=held), shared, troubles, budget)
        contexts = Contexts(
            self._registry,
            target.environment,
            target.bundle,
            images,
            target.secrets,
            history,
            target.run_again,
            promotes=target.kind is DeploymentKind.PROMOTE,
        )
        return _Draft(self._registry, contexts, history, shared, troubles, budget).steps()

    def _destroy(
        self,
        target: Target,
        history: History,
        shared: Sequence[Resource],
        troubles: MutableMapping[str, str] | None,
        budget: "_Budget",
    ) -> tuple[StepPlan, ...]:
        owner = with_reach(self._registry, Owner(target.environment.id, target.environment.name, history.held))
        inspector = Inspector(self._registry, owner, history.inventory, budget.check)
        try:
            steps = target.bundle.template().steps
        except InvalidTemplate:
            steps = ()
        rows = [
            (name, uses, of_step(history.inventory, name))
            for name, uses, _ in rows_to_destroy(history.inventory, steps)
        ]
        plans = []
        for name, uses, resources in [*rows, (SHARED, SHARED, [*self._reached(owner, history), *shared])]:
            changes = _or_trouble(troubles, name, partial(to_destroy, inspector, resources))
            plans.append(StepPlan(step=name, uses=uses, changes=changes))
        return tuple(plan for plan in plans if plan.changes)

    def _reached(self, owner: Owner, history: History) -> list[Resource]:
        """The resources outside of the inventory that a destroy observes too."""
        known = {found.ref for found in history.inventory}
        return [
            Resource(
                environment_id=owner.id,
                kind=item.ref.kind,
                address=item.ref.address,
                status=ResourceStatus.INTENDED,
                created_at=_NEVER,
                updated_at=_NEVER,
            )
            for item in self._registry.reach(owner)
            if item.ref not in known
        ]


class _Budget:
    """The time that all observations of one plan share."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()

    def check(self) -> None:
        """Raises `BackendUnavailable` if none is left."""
        if self.left <= 0:
            raise BackendUnavailable(
                f"Observing the environment took longer than {self._seconds:g} s.",
                hint="`calvinverse doctor` shows which part is slow. Then retry.",
            )


class _Draft:
    """A plan that is being made. `outputs` has those of steps that will not change."""

    def __init__(
        self,
        registry: StepRegistry,
        contexts: Contexts,
        history: History,
        shared: Sequence[Resource],
        troubles: MutableMapping[str, str] | None,
        budget: "_Budget",
    ) -> None:
        self._budget = budget
        self._registry = registry
        self._contexts = contexts
        self._history = history
        self._shared = shared
        self._troubles = troubles
        self._inspector = Inspector(registry, contexts.owner, history.inventory, budget.check)
        self._outputs: dict[str, dict[str, Any]] = {}
        self._claims: set[tuple[str, str]] = set()
        self._plans: dict[str, StepPlan] = {}
        self._guard = threading.Lock()

    def steps(self) -> tuple[StepPlan, ...]:
        template = self._contexts.template
        outcome = run_graph(template.dependencies(), lambda name: self._plan(template.step(name)))
        for step in template.steps:
            if step.name in outcome.errors:
                raise outcome.errors[step.name]
        kept = [
            self._with_outdated(template.step(name), self._plans[name]) for name in in_order(template.dependencies())
        ]
        return (*kept, *self._removed())

    def _plan(self, step: Step) -> None:
        self._plans[step.name] = StepPlan(step=step.name, uses=step.uses)
        unknown = {name for name in self._contexts.needed(step.name) if name not in self._outputs}
        try:
            try:
                prepared = self._contexts.prepare(step, self._outputs)
            except InvalidTemplate:
                if not unknown:
                    raise
                self._put_off(step, unknown)
                return
            try:
                changes = self._plan_step(step, prepared)
            except (NotFound, StepFailed) as error:
                if not unknown:
                    raise
                self._put_off(step, unknown, f" ({error.message})")  # the missing resource may exist when the step runs
                return
        except CalvinverseError as error:
            self._trouble(step.name, error)
            return
        before = self._history.latest.get(step.name)
        # Records of early versions have no inputs. Their outputs are used, because the step is applied anyway.
        if not changes and before and before.state is StepState.DONE and before.inputs in ("", prepared.inputs):
            self._outputs[step.name] = before.outputs

    def _plan_step(self, step: Step, prepared: Prepared) -> tuple[Change, ...]:
        self._budget.check()
        limit = min(
            (step.timeout or prepared.executor.time_limit).total_seconds(), LONGEST_STEP_PLAN, self._budget.left
        )
        run = PlanRun(limit)
        changes = tuple(prepared.executor.plan(prepared.context, run))
        claims = {(item.ref.kind, item.ref.address) for item in prepared.executor.resources(prepared.context)}
        with self._guard:
            self._claims |= claims
        self._plans[step.name] = StepPlan(step=step.name, uses=step.uses, changes=changes)
        return changes

    def _put_off(self, step: Step, unknown: set[str], why: str = "") -> None:
        text = str(step.options)
        asked = sorted(name for name in unknown if name in text) or sorted(unknown)
        deferred = f"decided when {' and '.join(asked)} {'is' if len(asked) == 1 else 'are'} done{why}"
        if self._contexts.runs_again(step.name):
            deferred += "; runs again, as requested"
        self._plans[step.name] = StepPlan(step=step.name, uses=step.uses, deferred=deferred)

    def _trouble(self, step: str, error: CalvinverseError) -> None:
        if self._troubles is None:
            raise error
        self._troubles[step] = error.message

    @property
    def _open(self) -> str:
        """The names of the steps whose claims are unknown, joined by commas; empty if there are none."""
        return ", ".join(
            name
            for name, plan in self._plans.items()
            if plan.deferred or (self._troubles is not None and name in self._troubles)
        )

    def _with_outdated(self, step: Step, plan: StepPlan) -> StepPlan:
        if plan.deferred or (self._troubles is not None and step.name in self._troubles):
            return plan
        changes = _or_trouble(self._troubles, step.name, lambda: self._outdated(step))
        return plan.model_copy(update={"changes": (*plan.changes, *changes)})

    def _outdated(self, step: Step) -> tuple[Change, ...]:
        resources = unclaimed(self._inspector, of_step(self._history.inventory, step.name), self._claims)
        return (*to_destroy(self._inspector, resources), *self._left_by_other_kinds(step))

    def _left_by_other_kinds(self, step: Step) -> list[Change]:
        previous = self._history.previous.get(step.name)
        return [
            change
            for uses in other_kinds(previous, step.uses)
            if uses in self._registry.executors
            for change in _as_ours(self._registry.executors[uses].plan_removal(step.name, self._contexts.owner))
        ]

    def _removed(self) -> Iterable[StepPlan]:
        names = {step.name for step in self._contexts.template.steps}
        order, uses = steps_to_remove(self._history, names)
        for name in order:
            plan = StepPlan(step=name, uses=uses[name][0], removed=True)
            changes = _or_trouble(self._troubles, name, partial(self._of_removed, name, uses[name]))
            if changes:
                yield plan.model_copy(update={"changes": changes})
        plan = StepPlan(step=SHARED, uses=SHARED, removed=True)
        shared = unclaimed(self._inspector, self._shared, self._claims)
        if not shared:
            return
        if self._open:
            yield plan.model_copy(update={"deferred": f"decided when {self._open} is done"})
            return
        changes = _or_trouble(self._troubles, SHARED, lambda: to_destroy(self._inspector, shared))
        if changes:
            yield plan.model_copy(update={"changes": changes})

    def _of_removed(self, name: str, uses: Sequence[str]) -> tuple[Change, ...]:
        resources = [found for found in of_step(self._history.inventory, name) if not self._is_claimed(found)]
        changes = [
            change
            for kind in uses
            if kind in self._registry.executors
            for change in self._registry.executors[kind].plan_removal(name, self._contexts.owner)
            if not self._becomes_anothers(change)
        ]
        return (*changes, *to_destroy(self._inspector, resources))

    def _becomes_anothers(self, change: Change) -> bool:
        """Whether a step of the template writes the same resource, such as a key, before it would be removed."""
        return change.action is Action.DESTROY and any(
            (other.kind, other.address) == (change.kind, change.address) and other.action is not Action.DESTROY
            for plan in self._plans.values()
            for other in plan.changes
        )

    def _is_claimed(self, resource: Resource) -> bool:
        return (resource.kind, resource.address) in self._claims


def _as_ours(changes: Sequence[Change]) -> list[Change]:
    return [change.model_copy(update={"fingerprint": OUTDATED}) for change in changes]


def _or_trouble(
    troubles: MutableMapping[str, str] | None,
    step: str,
    observe: Callable[[], tuple[Change, ...]],
) -> tuple[Change, ...]:
    try:
        return observe()
    except CalvinverseError as error:
        if troubles is None:
            raise
        troubles[step] = error.message
        return ()
