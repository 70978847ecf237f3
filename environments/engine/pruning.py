"""Removes what an update makes obsolete: steps that left the template, and resources that no step names."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from environments.domain.environment import Resource
from environments.domain.lifecycle import StepState
from environments.domain.plan import Change
from environments.engine.contexts import Contexts
from environments.engine.graph import run_graph
from environments.engine.history import History, of_step, other_kinds, steps_to_remove, to_destroy, unclaimed
from environments.engine.logs import LogWriter
from environments.engine.plan_guard import PlanGuard
from environments.engine.progress import Progress, persist
from environments.engine.recorder import Recorder
from environments.engine.removal import SHARED, Inspector, Removal, reversed_order
from environments.steps.registry import StepRegistry

_HINT = "Fix the cause, then `calvinverse env retry`."

Row = tuple[str, str, tuple[str, ...]]


class Pruning:
    """Runs when all steps of a deployment are done, because then nothing uses the obsolete resources."""

    def __init__(
        self,
        recorder: Recorder,
        logs: LogWriter,
        registry: StepRegistry,
        contexts: Contexts,
        history: History,
        plan_guard: PlanGuard | None,
    ) -> None:
        self._recorder = recorder
        self._lease = recorder.lease
        self._logs = logs
        self._registry = registry
        self._contexts = contexts
        self._history = history
        self._plan_guard = plan_guard
        self._kept = {step.name: step for step in contexts.template.steps}
        self._order, self._uses = steps_to_remove(history, set(self._kept))
        self._inventory: Sequence[Resource] = history.inventory
        self._claims: set[tuple[str, str]] = set()

    def rows(self) -> list[Row]:
        """Rows of the journal for the steps to remove: name, kind, and what is removed before them."""
        return [(name, self._uses[name][0], before) for name, before in self._order.items()]

    def run(self, outputs: Mapping[str, Mapping[str, Any]], done: set[str]) -> dict[str, BaseException]:
        """Removes what is obsolete, the last made first; returns the errors by step. `done`: rows that are done."""
        for step in self._contexts.template.steps:
            prepared = self._contexts.prepare(step, outputs)
            for item in prepared.executor.resources(prepared.context):
                self._claims.add((item.ref.kind, item.ref.address))
        with self._lease.write() as tx:
            self._inventory = tx.inventory.of(self._lease.environment.id)
            shared = tx.inventory.shared_by_rank(self._lease.environment.id)
        self._inspector = Inspector(self._registry, self._contexts.owner, self._inventory)
        self._removal = Removal(self._recorder, self._inspector, _HINT)
        # checked before the journal gets a row, because most updates remove nothing
        self._shared = unclaimed(self._inspector, shared, self._claims)
        kept = [name for name in self._kept if self._outdated(name) or self._other_kinds(name)]
        previous = {name: step.needs for name, step in self._history.previous.items()}
        needs: dict[str, tuple[str, ...]] = dict(reversed_order(previous, [*self._order, *kept]))
        if self._shared:
            needs[SHARED] = tuple(needs)
            with self._lease.write() as tx:
                tx.journal.lay_out(self._lease.deployment.id, [(SHARED, SHARED, tuple(self._order))])
        return run_graph(needs, self._remove, done=done & set(self._order), stop_on_error=False).errors

    def _remove(self, name: str) -> None:
        self._lease.check()
        resources, kinds = self._of(name)
        limit = self._inspector.time_limit(resources)
        run = Progress(self._recorder, self._logs, name, limit, ended=name in self._kept)
        if name not in self._kept:
            with self._lease.write(going_on=True) as tx:
                self._recorder.step(tx, name, StepState.RUNNING)
        with self._recorder.failing(self._logs, name):
            if self._plan_guard is not None:
                self._plan_guard.check_removal(name, self._changes(name, resources, kinds, run))
            for kind in kinds:
                if (executor := self._registry.executors.get(kind)) is not None:
                    persist(run, partial(executor.remove, name, self._contexts.owner, run))
            for resource in resources:
                self._removal.remove(resource, run)
        self._logs.flush()
        if name not in self._kept:
            with self._lease.write() as tx:
                self._recorder.step(tx, name, StepState.DONE)

    def _of(self, name: str) -> tuple[list[Resource], Sequence[str]]:
        """What to remove of a step: resources, and the kinds whose executors may have written into shared ones."""
        if name == SHARED:
            return self._shared, ()
        if name in self._kept:
            return self._outdated(name), self._other_kinds(name)
        resources = of_step(self._inventory, name)
        return [found for found in resources if (found.kind, found.address) not in self._claims], self._uses[name]

    def _outdated(self, name: str) -> list[Resource]:
        return unclaimed(self._inspector, of_step(self._inventory, name), self._claims)

    def _other_kinds(self, name: str) -> list[str]:
        return other_kinds(self._history.previous.get(name), self._kept[name].uses)

    def _changes(
        self, name: str, resources: Sequence[Resource], kinds: Sequence[str], run: Progress
    ) -> Sequence[Change]:
        owner = self._contexts.owner
        executors = [self._registry.executors[kind] for kind in kinds if kind in self._registry.executors]
        changes = [
            change for executor in executors for change in persist(run, partial(executor.plan_removal, name, owner))
        ]
        return [*changes, *persist(run, lambda: to_destroy(self._inspector, resources))]
