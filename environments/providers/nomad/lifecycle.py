"""The state that each task of an instance must reach, running or ended, according to its `lifecycle` block.

Nomad's "healthy" isn't enough: with `min_healthy_time = "0s"` an instance is healthy as soon as its checks pass,
even if another task of the group is still waiting for its image or its templates.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from environments.providers.nomad.ports import Allocation, Job, Task

POSTSTOP = "poststop"
_ENDS = frozenset({"batch", "sysbatch"})
"""Types of jobs whose main tasks run to completion."""


@dataclass(frozen=True)
class Duty:
    """What a task has to do, running or ending: `hook` is "" for a main task; times in seconds."""

    name: str
    hook: str = ""
    sidecar: bool = False
    kill_timeout: float = 0.0
    shutdown_delay: float = 0.0

    def ends(self, job_type: str) -> bool:
        """Whether it must run to completion."""
        return not self.sidecar and (bool(self.hook) or job_type in _ENDS)


class Duties:
    """The duties of all tasks of a job, by group."""

    def __init__(self, job: Job) -> None:
        self._type = str(job.get("Type") or "service")
        self._groups = {group["Name"]: duties(group) for group in job.get("TaskGroups") or []}

    def of(self, group: str, task: str) -> Duty:
        """The duty of a task. A task that the job doesn't have, or no longer has, counts as a main task."""
        return next((duty for duty in self._groups.get(group, ()) if duty.name == task), Duty(task))

    def alone(self, group: str) -> bool:
        """Whether the group has only one task: if its service answers, that task is running."""
        return len(self._groups.get(group, ())) == 1

    def lacking(self, allocation: Allocation) -> list[Task]:
        """Tasks that haven't reached their wanted state, including pending ones that Nomad hasn't reported.

        A task that runs to completion must have succeeded, any other task must be running. Sidecars of a job that runs
        to completion don't count: Nomad stops them after its main tasks. Poststop tasks count only in such a job: there
        they must have ended.
        """
        states = {task.name: task for task in allocation.tasks}
        ending = self._type in _ENDS
        return [
            task
            for duty in self._groups.get(allocation.group, ())
            if not (ending and duty.sidecar) and not (duty.hook == POSTSTOP and not ending)
            if not _fulfilled(task := states.get(duty.name, Task(duty.name, "pending")), duty.ends(self._type))
        ]


def duties(group: Mapping[str, Any]) -> Sequence[Duty]:
    """The duties of the tasks of a group (JSON API, `TaskGroup`)."""
    return tuple(_duties(group))


def _duties(group: Mapping[str, Any]) -> Iterator[Duty]:
    for task in group.get("Tasks") or []:
        lifecycle = task.get("Lifecycle") or {}
        yield Duty(
            name=task["Name"],
            hook=lifecycle.get("Hook") or "",
            sidecar=bool(lifecycle.get("Sidecar")),
            kill_timeout=seconds(task.get("KillTimeout")),
            shutdown_delay=seconds(task.get("ShutdownDelay")),
        )


def seconds(nanoseconds: int | None) -> float:
    """Seconds of a duration in Nomad's API."""
    return (nanoseconds or 0) / 1e9


def _fulfilled(task: Task, ends: bool) -> bool:
    return task.state == "dead" and not task.failed if ends else task.state == "running"
