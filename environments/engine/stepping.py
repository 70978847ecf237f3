"""Runs one step of a deployment: plans it, compares it with the saved plan, and applies it if anything differs."""

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from environments.domain.environment import ResourceRef, StepRecord
from environments.domain.errors import CalvinverseError, Interrupted, StorageError
from environments.domain.lifecycle import DeploymentKind, StepState
from environments.domain.plan import Change
from environments.domain.template_parts import Step
from environments.engine.contexts import Contexts, Prepared
from environments.engine.logs import LogWriter
from environments.engine.plan_guard import PlanGuard
from environments.engine.progress import PlanRun, Progress, format_seconds, pause_before, persist
from environments.engine.recorder import Recorder
from environments.steps.base import Executor, Intended

T = TypeVar("T")

_UPDATES = frozenset({DeploymentKind.UPDATE, DeploymentKind.REPAIR, DeploymentKind.PROMOTE})


class Steps:
    """The steps of one deployment. `outputs` grows as steps are done; `earlier` has each step's last record."""

    def __init__(
        self,
        recorder: Recorder,
        logs: LogWriter,
        contexts: Contexts,
        outputs: dict[str, dict[str, Any]],
        earlier: Mapping[str, StepRecord],
        begun: frozenset[str],
        plan_guard: PlanGuard | None,
    ) -> None:
        self.outputs = outputs
        self._recorder = recorder
        self._lease = recorder.lease
        self._logs = logs
        self._contexts = contexts
        self._earlier = earlier
        self._begun = begun
        """Steps that an earlier worker began in this deployment."""
        self._plan_guard = plan_guard
        self._tried: dict[str, int] = {}
        """How many retries each step had."""

    def do(self, step: Step) -> None:
        """Runs one step to its end and records the result."""
        begun = False
        written: list[ResourceRef] = []
        with self._recorder.failing(self._logs, step.name, lambda: begun):
            prepared = self._contexts.prepare(step, self.outputs)
            intended = prepared.executor.resources(prepared.context)
            outputs = self._left_alone(step, prepared)
            kept = outputs is not None
            if kept:
                with self._lease.write(going_on=True) as tx:
                    self._recorder.step(tx, step.name, StepState.RUNNING)
                begun = True
            elif self._plans_first(step, prepared):
                with self._lease.write(going_on=True) as tx:
                    self._recorder.step(tx, step.name, StepState.RUNNING)
                begun = True
                outputs = self._outputs_if_unchanged(step, prepared, intended)
                kept = outputs is not None
            if outputs is None:
                with self._lease.write(going_on=True) as tx:
                    if not begun:
                        self._recorder.step(tx, step.name, StepState.RUNNING)
                    self._recorder.intend(tx, step.name, intended)
                begun = True
                outputs = self._apply(step, prepared, written)
        self._logs.flush()
        with self._lease.write() as tx:
            if kept:
                self._recorder.intend(tx, step.name, intended)  # these may have belonged to another step
            refs = [(ref.kind, ref.address) for ref in (*(item.ref for item in intended), *written)]
            tx.inventory.settle(self._lease.environment.id, refs, self._recorder.clock())
            self._recorder.step(tx, step.name, StepState.DONE, unchanged=kept, outputs=outputs, inputs=prepared.inputs)
        self._contexts.hold(refs)
        self.outputs[step.name] = outputs

    def _left_alone(self, step: Step, prepared: Prepared) -> dict[str, Any] | None:
        """A start leaves alone what no stop has touched: the step's last outputs, None if it has to be applied.

        A step whose inputs have changed is applied, such as one with the address of a service whose port has changed.
        """
        if self._lease.deployment.kind is not DeploymentKind.START:
            return None
        earlier = self._earlier.get(step.name)
        if stops(prepared.executor) or only_checks(prepared.executor) or earlier is None:
            return None
        done = earlier.state is StepState.DONE and earlier.inputs == prepared.inputs
        return earlier.outputs if done else None

    def _plans_first(self, step: Step, prepared: Prepared) -> bool:
        if only_checks(prepared.executor):
            return False
        return self._guard_of(step) is not None or (self._updates and not plans_itself(prepared.executor))

    @property
    def _updates(self) -> bool:
        return self._lease.deployment.kind in _UPDATES

    def _guard_of(self, step: Step) -> PlanGuard | None:
        """The plan guard, if the saved plan shows what the step does."""
        return self._plan_guard if self._plan_guard is not None and self._plan_guard.decides(step.name) else None

    def _outputs_if_unchanged(
        self, step: Step, prepared: Prepared, intended: Sequence[Intended]
    ) -> dict[str, Any] | None:
        """The step's last outputs if nothing has changed since; None if the step has to be applied.

        Raises `PlanStale` when the deployment has a saved plan and the step would do something else now.
        """
        changes = self._plan(step, prepared)
        guard = self._guard_of(step)
        if guard is not None:
            shared = {(item.ref.kind, item.ref.address) for item in intended if item.shared}
            guard.check_step(step.name, changes, shared, resumed=step.name in self._begun)
        earlier = self._earlier.get(step.name)
        # An executor with `plans_itself` may return other outputs even if no resource changes.
        if changes or not self._updates or plans_itself(prepared.executor):
            return None
        if step.name in self._begun or earlier is None or earlier.state is not StepState.DONE:
            return None
        if earlier.inputs != prepared.inputs:
            return None
        return earlier.outputs

    def _plan(self, step: Step, prepared: Prepared) -> Sequence[Change]:
        def plan() -> Sequence[Change]:
            run = PlanRun(self._limit(step, prepared.executor), self._lease.check, partial(self._log, step))
            return persist(run, partial(prepared.executor.plan, prepared.context, run))

        return self._attempts(step, prepared.executor, plan)

    def _apply(self, step: Step, prepared: Prepared, written: list[ResourceRef]) -> dict[str, Any]:
        """Applies the step and returns its outputs. Appends resources that the executor recorded to `written`."""

        def apply() -> dict[str, Any]:
            run = Progress(self._recorder, self._logs, step.name, self._limit(step, prepared.executor))
            outputs = persist(run, partial(prepared.executor.apply, prepared.context, run))
            written.extend(run.intended)
            return outputs

        return self._attempts(step, prepared.executor, apply)

    def _attempts(self, step: Step, executor: Executor, attempt: Callable[[], T]) -> T:
        """The result of `attempt`, which is retried after transient errors: `retries` times in the step as a whole."""
        while True:
            try:
                return attempt()
            except (Interrupted, StorageError):
                raise
            except CalvinverseError as error:
                tried = self._tried.get(step.name, 0) + 1
                if not error.transient or tried > step.retries:
                    raise
                self._tried[step.name] = tried
                pause = pause_before(tried, random.random())  # noqa: S311 - only spreads attempts over time
                again = f"retry {tried} of {step.retries} in {format_seconds(pause)}"
                self._log(step, f"{error.message} The step will be retried: {again}.")
            Progress(self._recorder, self._logs, step.name, pause + self._limit(step, executor)).wait(pause)
            with self._lease.write(going_on=True) as tx:
                self._recorder.step(tx, step.name, StepState.RUNNING)

    def _limit(self, step: Step, executor: Executor) -> float:
        return (step.timeout or executor.time_limit).total_seconds()

    def _log(self, step: Step, line: str) -> None:
        deployment = self._lease.deployment
        self._logs.add(deployment.environment_id, deployment.id, step.name, self._recorder.cleaner.clean(line))


def only_checks(executor: Executor) -> bool:
    """Whether the executor makes nothing and always runs (`only_checks = True`)."""
    return bool(getattr(executor, "only_checks", False))


def stops(executor: Executor) -> bool:
    """Whether a stop of the environment ends what the step runs (`stops = True`)."""
    return bool(getattr(executor, "stops", False))


def plans_itself(executor: Executor) -> bool:
    """Whether the executor's `apply` observes first and changes only what differs (`plans_itself = True`).

    Then the engine calls `plan` before `apply` only if the deployment has a saved plan.
    """
    return bool(getattr(executor, "plans_itself", False))
