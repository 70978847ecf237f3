"""Which tasks of an instance have to run, and which have to have ended, by their `lifecycle` block.

Nomad's own "healthy" isn't enough: with `min_healthy_time = "0s"` an instance is healthy as soon as its checks pass,
although another task of the group still waits for its image or its templates.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from environments.providers.nomad.ports import Allocation, Job, Task

POSTSTOP = "poststop"
_ENDS = frozenset({"batch", "sysbatch"})
"""Types of jobs whose main tasks end by themselves."""


@dataclass(frozen=True)
class Duty:
    """What a task is for: `hook` is "" for a main task; times in seconds."""

    name: str
    hook: str = ""
    sidecar: bool = False
    kill_timeout: float = 0.0
    shutdown_delay: float = 0.0

    def ends(self, job_type: str) -> bool:
        """Whether it has to end by itself."""
        return not self.sidecar and (bool(self.hook) or job_type in _ENDS)


class Duties:
    """The duties of all tasks of a job, by group."""

    def __init__(self, job: Job) -> None:
        self._type = str(job.get("Type") or "service")
        self._groups = {group["Name"]: duties(group) for group in job.get("TaskGroups") or []}

    def of(self, group: str, task: str) -> Duty:
        """The duty of a task; a task that the job doesn't have (any more) counts as a main task."""
        return next((duty for duty in self._groups.get(group, ()) if duty.name == task), Duty(task))

    def alone(self, group: str) -> bool:
        """Whether the group has one task: if its service answers, the task runs."""
        return len(self._groups.get(group, ())) == 1

    def lacking(self, allocation: Allocation) -> list[Task]:
        """Tasks that aren't in their wanted state yet, including pending ones that Nomad hasn't reported.

        A task that ends by itself must have succeeded, any other one must run. Sidecars of a job that ends don't
        count: Nomad stops them after its main tasks. Poststop tasks don't count either, unless the job ends: then they
        must have ended too.
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
    """A duration of Nomad's API."""
    return (nanoseconds or 0) / 1e9


def _fulfilled(task: Task, ends: bool) -> bool:
    return task.state == "dead" and not task.failed if ends else task.state == "running"
