"""The plan of one change while it is made: the changes of each step, and of what no step wants any more."""

import threading
import time
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from functools import partial
from typing import Any

from environments.domain.environment import Resource
from environments.domain.errors import BackendUnavailable, CalvinverseError, InvalidTemplate, NotFound, StepFailed
from environments.domain.lifecycle import StepState
from environments.domain.plan import Action, Change, StepPlan
from environments.domain.template_parts import Step
from environments.engine.contexts import Contexts, Prepared
from environments.engine.graph import in_order, run_graph
from environments.engine.history import OUTDATED, History, of_step, other_kinds, steps_to_remove, to_destroy, unclaimed
from environments.engine.progress import PlanRun
from environments.engine.removal import SHARED, Inspector
from environments.steps.registry import StepRegistry

LONGEST_STEP_PLAN = 120.0
"""Seconds that the plan of one step may take."""


class Budget:
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


class PlanDraft:
    """A plan that is being made. `outputs` has those of steps that will not change."""

    def __init__(
        self,
        registry: StepRegistry,
        contexts: Contexts,
        history: History,
        shared: Sequence[Resource],
        troubles: MutableMapping[str, str] | None,
        budget: Budget,
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
        """The plan of each step, in the order in which the steps run, then of what no step wants any more."""
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
        changes = or_trouble(self._troubles, step.name, lambda: self._outdated(step))
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
            changes = or_trouble(self._troubles, name, partial(self._of_removed, name, uses[name]))
            if changes:
                yield plan.model_copy(update={"changes": changes})
        plan = StepPlan(step=SHARED, uses=SHARED, removed=True)
        shared = unclaimed(self._inspector, self._shared, self._claims)
        if not shared:
            return
        if self._open:
            yield plan.model_copy(update={"deferred": f"decided when {self._open} is done"})
            return
        changes = or_trouble(self._troubles, SHARED, lambda: to_destroy(self._inspector, shared))
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


def or_trouble(
    troubles: MutableMapping[str, str] | None,
    step: str,
    observe: Callable[[], tuple[Change, ...]],
) -> tuple[Change, ...]:
    """What `observe` returns. If it fails: nothing, and why in `troubles`; without `troubles`, its error is raised."""
    try:
        return observe()
    except CalvinverseError as error:
        if troubles is None:
            raise
        troubles[step] = error.message
        return ()
