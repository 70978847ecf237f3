"""One step of a deployment: looked at, kept to its plan, left alone where nothing differs, else applied."""

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from environments.domain.environment import ResourceRef, StepRecord
from environments.domain.errors import CalvinverseError, Interrupted, StorageError
from environments.domain.lifecycle import DeploymentKind, StepState
from environments.domain.plan import CHECKS, Change
from environments.domain.template import Step
from environments.engine.contexts import Contexts, Prepared
from environments.engine.keeping import Keeping
from environments.engine.logs import LogWriter
from environments.engine.progress import Looking, Progress, format_seconds, pause_before, persist
from environments.engine.recorder import Recorder
from environments.steps.base import Executor, Intended

T = TypeVar("T")

_UPDATES = frozenset({DeploymentKind.UPDATE, DeploymentKind.REPAIR, DeploymentKind.PROMOTE})


class Steps:
    """The steps of one deployment. `outputs` grow as steps are done; `earlier` is what they did the last time."""

    def __init__(
        self,
        recorder: Recorder,
        logs: LogWriter,
        contexts: Contexts,
        outputs: dict[str, dict[str, Any]],
        earlier: Mapping[str, StepRecord],
        begun: frozenset[str],
        keeping: Keeping | None,
    ) -> None:
        self.outputs = outputs
        self._recorder = recorder
        self._lease = recorder.lease
        self._logs = logs
        self._contexts = contexts
        self._earlier = earlier
        self._begun = begun
        """Steps that an earlier worker began in this very deployment."""
        self._keeping = keeping
        self._tried: dict[str, int] = {}
        """How many further attempts each step had."""

    def do(self, step: Step) -> None:
        """Brings one step to its end, good or bad, and writes that down."""
        begun = False
        written: list[ResourceRef] = []
        with self._recorder.failing(self._logs, step.name, lambda: begun):
            prepared = self._contexts.prepare(step, self.outputs)
            intended = prepared.executor.resources(prepared.context)
            outputs, kept = None, False
            if self._looks_first(step, prepared):
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
                self._recorder.intend(tx, step.name, intended)  # it may have been another step's
            refs = [(ref.kind, ref.address) for ref in (*(item.ref for item in intended), *written)]
            tx.inventory.settle(self._lease.environment.id, refs, self._recorder.clock())
            self._recorder.step(tx, step.name, StepState.DONE, unchanged=kept, outputs=outputs, inputs=prepared.inputs)
        self._contexts.hold(refs)
        self.outputs[step.name] = outputs

    def _looks_first(self, step: Step, prepared: Prepared) -> bool:
        if step.uses.startswith(CHECKS):
            return False
        return self._kept(step) is not None or (self._updates and not plans_itself(prepared.executor))

    @property
    def _updates(self) -> bool:
        return self._lease.deployment.kind in _UPDATES

    def _kept(self, step: Step) -> Keeping | None:
        """The plan to keep to, if it tells what the step does."""
        return self._keeping if self._keeping is not None and self._keeping.decides(step.name) else None

    def _outputs_if_unchanged(
        self, step: Step, prepared: Prepared, intended: Sequence[Intended]
    ) -> dict[str, Any] | None:
        """What the step gave the last time, if the world is still as it made it; None: it has to be applied.

        Raises `PlanStale` when the deployment keeps to a plan and the step would do something else now.
        """
        changes = self._look(step, prepared)
        kept = self._kept(step)
        if kept is not None:
            shared = {(item.ref.kind, item.ref.address) for item in intended if item.shared}
            kept.check_step(step.name, changes, shared, resumed=step.name in self._begun)
        earlier = self._earlier.get(step.name)
        # What plans itself may give other outputs though no resource changes.
        if changes or not self._updates or plans_itself(prepared.executor):
            return None
        if step.name in self._begun or earlier is None or earlier.state is not StepState.DONE:
            return None
        if earlier.inputs != prepared.inputs:
            return None
        return earlier.outputs

    def _look(self, step: Step, prepared: Prepared) -> Sequence[Change]:
        def look() -> Sequence[Change]:
            run = Looking(self._limit(step, prepared.executor), self._lease.check, partial(self._log, step))
            return persist(run, partial(prepared.executor.plan, prepared.context, run))

        return self._attempts(step, prepared.executor, look)

    def _apply(self, step: Step, prepared: Prepared, written: list[ResourceRef]) -> dict[str, Any]:
        """The outputs; `written` gets what the executor wrote down while it ran."""

        def apply() -> dict[str, Any]:
            run = Progress(self._recorder, self._logs, step.name, self._limit(step, prepared.executor))
            outputs = persist(run, partial(prepared.executor.apply, prepared.context, run))
            written.extend(run.intended)
            return outputs

        return self._attempts(step, prepared.executor, apply)

    def _attempts(self, step: Step, executor: Executor, attempt: Callable[[], T]) -> T:
        """What `attempt` gives; after an error that may pass it is called again, `retries` times in the whole step."""
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
                again = f"attempt {tried} of {step.retries} more in {format_seconds(pause)}"
                self._log(step, f"{error.message} The step will be tried again: {again}.")
            Progress(self._recorder, self._logs, step.name, pause + self._limit(step, executor)).wait(pause)
            with self._lease.write(going_on=True) as tx:
                self._recorder.step(tx, step.name, StepState.RUNNING)

    def _limit(self, step: Step, executor: Executor) -> float:
        return (step.timeout or executor.time_limit).total_seconds()

    def _log(self, step: Step, line: str) -> None:
        deployment = self._lease.deployment
        self._logs.add(deployment.environment_id, deployment.id, step.name, self._recorder.cleaner.clean(line))


def plans_itself(executor: Executor) -> bool:
    """Whether the executor's own `apply` changes only what differs, and looks first anyway (`plans_itself = True`).

    Looking before it once more would only take time; it is done all the same when a saved plan has to be kept to.
    """
    return bool(getattr(executor, "plans_itself", False))
