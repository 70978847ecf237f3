"""Stops jobs: in order, within time limits, with reports meanwhile; kills tasks that hang."""

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from environments.domain.counting import counted
from environments.domain.deadline import format_duration
from environments.domain.errors import BackendError, StepTimeout
from environments.providers.nomad.lifecycle import POSTSTOP, Duties, Duty, duties, seconds
from environments.providers.nomad.ports import SLICE, Allocation, Job, NomadApi, Task
from environments.steps.base import StepRun

POSTSTOP_PATIENCE = timedelta(minutes=2)
"""How long a poststop task may run before it is killed, unless its `kill_timeout` is longer: Nomad has no limit."""

LONGEST_STOP = timedelta(hours=1)
"""The time limit of one attempt to stop jobs, whatever their job files say."""

_LATE_START = 60.0
"""Seconds that Nomad 1.10 waits each time before it starts a poststop task with a workload identity, as for Consul.

Nomad doesn't renew identities of an allocation that stops, and stops waiting for one after that time.
"""

_SLACK = timedelta(minutes=1)
"""Time for everything except the waiting times that job files ask for."""

_QUIET = 3.0
"""Seconds before the first report: most tasks stop at once."""

_REMINDER = 60.0
"""Seconds after which the same line is reported again."""

_KILLS_AFTER = re.compile(r"Waiting (\S+) before force killing")

_KILL_PAUSE = 5.0
"""Seconds between two signals to a task that its restart policy starts again."""


def stop_jobs(
    nomad: NomadApi,
    namespace: str,
    jobs: Sequence[str],
    run: StepRun,
    patience: timedelta = POSTSTOP_PATIENCE,
) -> None:
    """Stops the jobs, waits until all their allocations have ended, then purges the jobs.

    The order matters: Nomad drops the allocations of a purged job while their containers are still running. Raises
    `StepTimeout`, which names the running tasks.
    """
    for job in jobs:
        run.before_effect()
        nomad.deregister(namespace, job, purge=False)
    for job in jobs:
        wait_until_ended(nomad, namespace, job, run, patience)
        run.before_effect()
        nomad.deregister(namespace, job, purge=True)


def wait_until_ended(
    nomad: NomadApi, namespace: str, job: str, run: StepRun, patience: timedelta = POSTSTOP_PATIENCE
) -> None:
    """Waits until all allocations of a job that was told to stop have ended; kills poststop tasks that hang.

    Raises `StepTimeout`, which names the running tasks.
    """
    _Ending(nomad, namespace, job, run, patience).wait()


def time_to_stop(
    nomad: NomadApi, namespace: str, jobs: Sequence[str], patience: timedelta = POSTSTOP_PATIENCE
) -> timedelta:
    """How long stopping the jobs may take according to their job files; they stop in parallel."""
    present = (nomad.job(namespace, job) for job in jobs)
    longest = max((_longest(job, patience) for job in present if job is not None), default=0.0)
    return min(timedelta(seconds=longest), LONGEST_STOP) + _SLACK


def _longest(job: Job, patience: timedelta) -> float:
    return max((_of_group(group, patience) for group in job.get("TaskGroups") or []), default=0.0)


def _of_group(group: Mapping[str, Any], patience: timedelta) -> float:
    """Seconds. Nomad stops the leader first, then the other tasks, then sidecars; then poststop tasks run."""
    leaders = {task["Name"] for task in group.get("Tasks") or [] if task.get("Leader")}
    phases: Counter[str] = Counter()
    for duty in duties(group):
        poststop = duty.hook == POSTSTOP
        phase = POSTSTOP if poststop else "leader" if duty.name in leaders else "sidecar" if duty.sidecar else "main"
        needed = _LATE_START + _patience(duty, patience) if poststop else duty.shutdown_delay + duty.kill_timeout
        phases[phase] = max(phases[phase], needed)  # type: ignore[assignment]
    restarts = group.get("RestartPolicy") or {}
    again = (restarts.get("Attempts") or 0) * (seconds(restarts.get("Delay")) * 1.25 + _KILL_PAUSE + _LATE_START)
    return seconds(group.get("ShutdownDelay")) + sum(phases.values()) + (again if phases[POSTSTOP] else 0.0)


def _patience(duty: Duty, patience: timedelta) -> float:
    return max(patience.total_seconds(), duty.kill_timeout)


class _Ending:
    """Waits for the end of a stopped job."""

    def __init__(self, nomad: NomadApi, namespace: str, job: str, run: StepRun, patience: timedelta) -> None:
        self._nomad = nomad
        self._namespace = namespace
        self._job = job
        self._run = run
        self._patience = patience
        self._duties = Duties(nomad.job(namespace, job) or {})
        self._begin = time.monotonic()
        self._told: tuple[str, ...] = ()
        self._told_at = 0.0
        self._since: dict[tuple[str, str], float] = {}
        self._killed: dict[tuple[str, str], float] = {}

    def wait(self) -> None:
        """Returns when all allocations of the job have ended."""
        index, allocations = self._nomad.allocations(self._namespace, self._job)
        while running := [found for found in allocations if not found.terminal]:
            try:
                self._run.before_effect()
            except StepTimeout as error:
                still = counted(len(running), "allocation")
                why = "; ".join(self._waits_for(running)) or f"Nomad hasn't ended {still} of it"
                raise StepTimeout(f"{error.message.rstrip('.')}: {why}.", hint=error.hint) from error
            self._tell(tuple(self._waits_for(running)))
            self._kill_what_hangs(running)
            index, allocations = self._nomad.allocations(self._namespace, self._job, index=index, wait=SLICE)

    def _tell(self, lines: tuple[str, ...]) -> None:
        now = time.monotonic()
        if now - self._begin < _QUIET or (lines == self._told and now - self._told_at < _REMINDER):
            return
        for line in lines:
            self._run.log(f"waiting for {line}")
        self._told, self._told_at = lines, now

    def _waits_for(self, running: Sequence[Allocation]) -> Iterator[str]:
        for allocation in running:
            for task in _unended(allocation, self._duties):
                what = f"task {task.name!r} of job {self._job!r} ({allocation.id[:8]})"
                yield f"{what} {self._why(allocation, task)}"

    def _why(self, allocation: Allocation, task: Task) -> str:
        duty = self._duties.of(allocation.group, task.name)
        if allocation.client == "unknown":
            return "whose node doesn't answer"
        if duty.hook == POSTSTOP and task.state == "pending":
            return "to start, after the others have stopped; Nomad may take a minute for that"
        if duty.hook == POSTSTOP:
            since = _last(task, "Started")
            began = f", which runs since {since}," if since else ","
            if (allocation.id, task.name) in self._killed:
                return f"{began.rstrip(',')} after the others have stopped, and was killed".lstrip(", ")
            limit = _told(_patience(duty, self._patience))
            return f"{began} after the others have stopped; it is killed after {limit}".lstrip(", ")
        if asked := _last(task, "Killing"):
            delay = f", after a shutdown_delay of {_told(duty.shutdown_delay)}" if duty.shutdown_delay else ""
            # Nomad's clients have their own limit (`max_kill_timeout`), and report the timeout that they use.
            told = next((event.message for event in task.events if event.kind == "Killing"), "")
            limit = found[1] if (found := _KILLS_AFTER.search(told)) else _told(duty.kill_timeout)
            return f"to stop; it was asked to at {asked}, and its kill_timeout is {limit}{delay}"
        return "to stop; it has not been asked to yet"

    def _kill_what_hangs(self, running: Sequence[Allocation]) -> None:
        now = time.monotonic()
        for allocation in running:
            for task in _unended(allocation, self._duties):
                duty, key = self._duties.of(allocation.group, task.name), (allocation.id, task.name)
                if duty.hook != POSTSTOP or task.state != "running":
                    continue
                since = self._since.setdefault(key, now)
                if (
                    now - since < _patience(duty, self._patience)
                    or now - self._killed.get(key, -_KILL_PAUSE) < _KILL_PAUSE
                ):
                    continue
                self._kill(allocation, task, again=key in self._killed)
                self._killed[key] = time.monotonic()

    def _kill(self, allocation: Allocation, task: Task, *, again: bool) -> None:
        what = f"task {task.name!r} of job {self._job!r} ({allocation.id[:8]})"
        self._run.before_effect()
        if again:
            self._run.log(f"{what} was started again by its restart policy, and is killed again")
        else:
            limit = _told(_patience(self._duties.of(allocation.group, task.name), self._patience))
            self._run.log(f"{what} has not ended by itself in {limit} after the others have stopped, and is killed")
        try:
            self._nomad.signal(self._namespace, allocation.id, task.name, "SIGKILL")
        except BackendError as error:
            self._run.log(f"{what} can't be killed: {error.message}")


def _unended(allocation: Allocation, known: Duties) -> list[Task]:
    """Tasks that must end before the allocation has ended."""
    left = [task for task in allocation.tasks if task.state != "dead"]
    return [task for task in left if known.of(allocation.group, task.name).hook != POSTSTOP] or left


def _last(task: Task, kind: str) -> str:
    """The time of the last such event, for people; "" if there was none."""
    at = max((event.at for event in task.events if event.kind == kind), default=None)
    return "" if at is None else f"{datetime.fromtimestamp(at / 1e9, UTC):%H:%M:%S} UTC"


def _told(duration: float) -> str:
    return format_duration(timedelta(seconds=max(round(duration), 1)))
