"""The engine's interface for a running step, and retries of transient errors."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from environments.domain.deadline import format_duration
from environments.domain.environment import ResourceRef
from environments.domain.errors import CalvinverseError, StepTimeout
from environments.domain.lifecycle import ResourceStatus
from environments.engine.logs import LogWriter
from environments.engine.recorder import Recorder
from environments.steps.base import Holder, Intended, StepRun

_POLL = 0.25
"""Seconds between two checks of the lease while a step sleeps."""

PATIENCE = 30.0
"""Seconds for which a step retries an unavailable backend."""

RETRY_PAUSE = 2.0
"""Seconds before the first retry of a step; doubled with each, `LONGEST_RETRY_PAUSE` at most."""

LONGEST_RETRY_PAUSE = 60.0

T = TypeVar("T")


class _Timed(ABC):
    """A time limit, and a sleep that ends when `before_effect` raises."""

    def __init__(self, time_limit: float) -> None:
        self._limit = time_limit
        self._end = time.monotonic() + time_limit

    @property
    def time_left(self) -> float:
        """Seconds until the time limit."""
        return self._end - time.monotonic()

    @abstractmethod
    def before_effect(self) -> None:
        """See `StepRun`."""

    def wait(self, seconds: float) -> None:
        """Sleeps, calling `before_effect` in between."""
        end = time.monotonic() + min(seconds, max(self.time_left, 0))
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _POLL))
            self.before_effect()
        self.before_effect()


class Progress(_Timed):
    """Implements `environments.steps.base.StepRun` for a step of a deployment."""

    def __init__(
        self, recorder: Recorder, logs: LogWriter, step: str, time_limit: float, *, ended: bool = False
    ) -> None:
        """`ended`: the step is done; then log lines belong to the deployment, not to the step."""
        super().__init__(time_limit)
        self._logs_as = None if ended else step
        self._recorder = recorder
        self._lease = recorder.lease
        self._logs = logs
        self._step = step
        self.intended: list[ResourceRef] = []
        """Resources that the step recorded in addition to those known before it began."""

    @property
    def holder(self) -> Holder | None:
        """Deployment, worker and epoch."""
        return Holder(*self._lease.holder)

    @property
    def sure_for(self) -> float:
        """Seconds for which no other worker can claim the deployment."""
        return self._lease.sure_for

    def intend(self, resources: Sequence[Intended]) -> None:
        """Records resources in the inventory, as this step's or as shared ones."""
        with self._lease.write(going_on=True) as tx:
            self._recorder.intend(tx, self._step, resources)
        self.intended += [item.ref for item in resources]

    def hold(self, resources: Sequence[ResourceRef]) -> None:
        """Records in the inventory that the environment holds these places, before anything is written there."""
        if not resources:
            return
        with self._lease.write(going_on=True) as tx:
            tx.inventory.hold(self._lease.environment.id, [(ref.kind, ref.address) for ref in resources])

    def gone(self, resources: Sequence[ResourceRef]) -> None:
        """Records in the inventory that resources are gone, with an event for each."""
        with self._lease.write() as tx:
            for ref in resources:
                self._recorder.resource(tx, ref, ResourceStatus.GONE, step=self._step)
        self.intended = [ref for ref in self.intended if ref not in resources]

    def finished(self, resource: ResourceRef, marks: Sequence[str]) -> None:
        """Records in the inventory that something ran to its end, or is about to run."""
        with self._lease.write(going_on=not marks) as tx:
            tx.inventory.finish(self._lease.environment.id, resource.kind, resource.address, marks)

    def before_effect(self) -> None:
        """Raises `Interrupted` or `StepTimeout`."""
        self._lease.check()
        if self.time_left <= 0:
            raise StepTimeout(f"The step {self._step!r} took longer than {format_seconds(self._limit)}.")

    def log(self, line: str) -> None:
        """Stores and streams a line."""
        environment, deployment = self._lease.environment, self._lease.deployment
        self._logs.add(environment.id, deployment.id, self._logs_as, self._recorder.cleaner.clean(line))


class PlanRun(_Timed):
    """Implements `environments.steps.base.StepRun` for a step that is only planned: it must not change anything."""

    def __init__(
        self,
        time_limit: float,
        check: Callable[[], None] = lambda: None,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        super().__init__(time_limit)
        self._check = check
        self._log = log

    @property
    def holder(self) -> None:
        """None: a plan has no lease."""
        return

    @property
    def sure_for(self) -> float:
        """The time left, because a plan has no lease to lose."""
        return max(self.time_left, 0.0)

    def intend(self, resources: Sequence[Intended]) -> None:
        """A plan makes nothing."""
        raise AssertionError("a plan makes nothing")

    def hold(self, resources: Sequence[ResourceRef]) -> None:
        """A plan claims nothing."""
        raise AssertionError("a plan claims nothing")

    def gone(self, resources: Sequence[ResourceRef]) -> None:
        """A plan removes nothing."""
        raise AssertionError("a plan removes nothing")

    def finished(self, resource: ResourceRef, marks: Sequence[str]) -> None:
        """A plan runs nothing."""
        raise AssertionError("a plan runs nothing")

    def before_effect(self) -> None:
        """Raises `StepTimeout`, and whatever the engine's own check raises."""
        self._check()
        if self.time_left <= 0:
            raise StepTimeout(f"Planning took longer than {format_seconds(self._limit)}.")

    def log(self, line: str) -> None:
        """Logs a line, if the plan is part of a deployment."""
        self._log(line)


def persist(run: StepRun, call: Callable[[], T], patience: float | None = None) -> T:
    """The result of `call`, which is retried with growing pauses while it raises transient errors.

    The last error is raised when `patience` (in seconds; None: `PATIENCE`) or the step's time is over.
    """
    end = time.monotonic() + (PATIENCE if patience is None else patience)
    pause = 0.25
    while True:
        try:
            return call()
        except CalvinverseError as error:
            left = min(end - time.monotonic(), run.time_left)
            if not error.transient or left <= pause:
                raise
            run.log(f"{error.message} Retrying for {format_seconds(left)}.")
        run.wait(pause)
        pause = min(pause * 2, 4.0)


def pause_before(attempt: int, chance: float) -> float:
    """Seconds before the retry number `attempt` (from 1): half to all of a growing time, by `chance` (0 to 1).

    The random part spreads retries of steps that failed at the same moment.
    """
    longest = min(RETRY_PAUSE * 2.0 ** min(attempt - 1, 10), LONGEST_RETRY_PAUSE)
    return longest * (0.5 + chance / 2)


def format_seconds(seconds: float) -> str:
    """`25s`, `1m30s`."""
    return format_duration(timedelta(seconds=max(round(seconds), 1)))
