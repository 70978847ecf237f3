"""What the engine offers to a step while it runs, and how it tries again what may pass by itself."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from environments.domain.deadline import format_duration
from environments.domain.environment import Failure
from environments.domain.errors import CalvinverseError, StepTimeout
from environments.engine.lease import Lease
from environments.engine.logs import LogWriter
from environments.executors.base import Holder, StepRun

_POLL = 0.25
"""Seconds between two looks at the lease while a step sleeps."""

PATIENCE = 30.0
"""Seconds for which a part that can't be reached is tried again within a step."""

T = TypeVar("T")


class Progress:
    """See `environments.executors.base.StepRun`."""

    def __init__(self, lease: Lease, logs: LogWriter, step: str, time_limit: float) -> None:
        self._lease = lease
        self._logs = logs
        self._step = step
        self._limit = time_limit
        self._end = time.monotonic() + time_limit

    @property
    def time_left(self) -> float:
        """Seconds until the time limit."""
        return self._end - time.monotonic()

    @property
    def holder(self) -> Holder | None:
        """Deployment, worker and epoch."""
        return Holder(*self._lease.holder)

    def before_effect(self) -> None:
        """Raises `Interrupted` or `StepTimeout`."""
        self._lease.check()
        if self.time_left <= 0:
            raise StepTimeout(f"The step {self._step!r} took longer than {format_seconds(self._limit)}.")

    def wait(self, seconds: float) -> None:
        """Sleeps, and looks at the lease in between."""
        end = time.monotonic() + min(seconds, max(self.time_left, 0))
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _POLL))
            self.before_effect()
        self.before_effect()

    def log(self, line: str) -> None:
        """Stores and streams a line."""
        environment, deployment = self._lease.environment, self._lease.deployment
        self._logs.add(environment.id, deployment.id, self._step, line)


def persist(run: StepRun, call: Callable[[], T], patience: float = PATIENCE) -> T:
    """What `call` gives; while it raises something transient it is called again, with growing pauses, for `patience` s.

    The last error is raised when patience or the step's time is over.
    """
    end = time.monotonic() + patience
    pause = 0.25
    while True:
        try:
            return call()
        except CalvinverseError as error:
            left = min(end - time.monotonic(), run.time_left)
            if not error.transient or left <= pause:
                raise
            run.log(f"{error.message} Trying again for {format_seconds(left)}.")
        run.wait(pause)
        pause = min(pause * 2, 4.0)


def failure_of(error: BaseException, step: str | None = None) -> Failure:
    """What a person reads about an error."""
    if isinstance(error, CalvinverseError):
        return Failure(code=error.code, message=error.message, hint=error.hint, step=step)
    kind = type(error).__name__
    return Failure(
        code=CalvinverseError.code,
        message=f"Calvinverse has a fault: {kind} in step {step!r}." if step else f"Calvinverse has a fault: {kind}.",
        hint=CalvinverseError.default_hint,
        step=step,
    )


def format_seconds(seconds: float) -> str:
    """`25s`, `1m30s`."""
    return format_duration(timedelta(seconds=max(round(seconds), 1)))
