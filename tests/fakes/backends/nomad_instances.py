"""Instances of jobs in a Nomad in memory: how they come up, are promoted, stop and are killed."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from environments.providers.nomad.ports import Allocation, Job, Rollout, Task, TaskEvent


class Fate(StrEnum):
    """What becomes of the jobs of a memory twin."""

    HEALTHY = "healthy"
    FAILING = "failing"
    WITHOUT_ROOM = "without room"
    NEVER_HEALTHY = "never healthy"
    HANGING_TASK = "hanging task"
    """The last task of each group never starts, though checks pass and Nomad takes the instance for healthy."""


_WELL = (Fate.HEALTHY, Fate.HANGING_TASK)


@dataclass
class Registered:
    """A job with its instances. `stable` are those of the newest version that needs no promotion, `stable_job`."""

    job: Job
    allocations: list[Allocation] = field(default_factory=list)
    rollout: Rollout | None = None
    stable_job: Job = field(default_factory=dict)
    evaluation: str = ""
    _stable: frozenset[str] = frozenset()

    @property
    def stable(self) -> list[Allocation]:
        """Instances that canaries would run beside."""
        return [found for found in self.allocations if found.id in self._stable]

    @property
    def canaries(self) -> list[Allocation]:
        """Those of the rollout."""
        ids = self.rollout.canaries if self.rollout else frozenset()
        return [found for found in self.allocations if found.id in ids]

    def stop(self, which: Collection[Allocation]) -> None:
        """These have ended."""
        self.allocations = [
            replace(found, desired="stop", client="complete", tasks=tuple(_dead(found.tasks)))
            if found in which
            else found
            for found in self.allocations
        ]

    def replace(self, old: Collection[Allocation], new: Sequence[Allocation]) -> None:
        """Some go on as others; the rest has ended."""
        self.stop([found for found in self.allocations if found not in old])
        self.allocations = [*(found for found in self.allocations if found not in old), *new]

    def go_on(self, before: "Registered") -> None:
        """The job is the same under another token: its instances go on as those of the new version."""
        version = self.job["Version"]
        self.allocations = [replace(found, job_version=version) for found in before.allocations]
        self.rollout = before.rollout and replace(before.rollout, job_version=version)
        self.settle()

    def settle(self) -> None:
        """What runs needs no promotion."""
        self._stable = frozenset(found.id for found in self.allocations if found.desired == "run")
        self.stable_job = self.job

    def await_promotion(self, before: "Registered", canaries: Sequence[Allocation]) -> None:
        """What ran before stays stable."""
        self.stable_job, self._stable = before.stable_job, before._stable
        assert self.rollout is not None
        self.rollout = replace(
            self.rollout,
            unpromoted={"group": len(canaries)},
            canaries=frozenset(found.id for found in canaries),
            promotes_itself=bool(self.job["TaskGroups"][0]["Update"].get("AutoPromote")),
        )


def allocation(job: Job, number: int, fate: Fate) -> Allocation:
    """A new instance."""
    failing = fate is Fate.FAILING
    done = job["Type"] in ("batch", "sysbatch") and not failing
    return Allocation(
        id=f"{job['Namespace']}-{job['ID']}-{job['Version']}-{number}",
        job_version=job["Version"],
        group="group",
        desired="run",
        client="failed" if failing else "complete" if done else "running",
        healthy=None if job["Type"] != "service" else True if fate in _WELL else False if failing else None,
        tasks=tuple(_tasks(job, fate, done=done)),
    )


def _tasks(job: Job, fate: Fate, *, done: bool) -> Iterator[Task]:
    tasks: list[dict[str, Any]] = job["TaskGroups"][0]["Tasks"]
    for task in tasks:
        lifecycle = task.get("Lifecycle") or {}
        if fate is Fate.FAILING:
            yield Task(task["Name"], "dead", True, (TaskEvent(1, "Terminated", "Exit Code: 1", failed=True),))
        elif fate is Fate.HANGING_TASK and task is tasks[-1]:
            yield Task(task["Name"], "pending", False, (TaskEvent(1, "Template", "Missing: vault.read(secret)"),))
        elif lifecycle.get("Hook") == "poststop" and not done:
            yield Task(task["Name"], "pending")
        else:
            ended = done or (bool(lifecycle) and not lifecycle["Sidecar"])
            yield Task(task["Name"], "dead" if ended else "running", False, (TaskEvent(1, "Started", ""),))


def stopped(found: Allocation, job: Job, *, slowly: bool, poststop_hangs: bool) -> Allocation:
    """An instance that was asked to stop."""
    last = {task["Name"] for task in job["TaskGroups"][0]["Tasks"] if _hook(task) == "poststop"}
    if found.terminal or not (slowly or (poststop_hangs and last)):
        return replace(found, desired="stop", client="complete", tasks=tuple(_dead(found.tasks)))
    asked = TaskEvent(2_000_000_000, "Killing", "Sent interrupt. Waiting before force killing")
    started = TaskEvent(3_000_000_000, "Started", "Task started by client")
    tasks = []
    for task in found.tasks:
        if slowly:
            going = task.state == "running"
            tasks.append(replace(task, events=(*task.events, asked)) if going else task)
        elif task.name in last:
            tasks.append(replace(task, state="running", events=(*task.events, started)))
        else:
            tasks.append(replace(task, state="dead", events=(*task.events, asked)))
    return replace(found, desired="stop", tasks=tuple(tasks))


def killed(found: Allocation, name: str, *, again: bool) -> Allocation:
    """An instance one of whose tasks was killed, after all the others have ended."""
    end = TaskEvent(4_000_000_000, "Terminated", "Exit Code: 137", failed=True)
    state = "running" if again else "dead"
    tasks = tuple(
        replace(task, state=state, failed=not again, events=(*task.events, end)) if task.name == name else task
        for task in found.tasks
    )
    return replace(found, tasks=tasks, client="running" if again else "failed")


def _hook(task: dict[str, Any]) -> str:
    return str((task.get("Lifecycle") or {}).get("Hook") or "")


def _dead(tasks: Sequence[Task]) -> Iterator[Task]:
    return (replace(task, state="dead") for task in tasks)
