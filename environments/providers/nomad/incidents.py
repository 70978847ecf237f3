"""Detects containers that were killed, but not by their Nomad.

Measured with Nomad 1.10 and Docker 20.10: another Nomad on the same engine removes containers that it doesn't know by
force. The task of such a container then has the event `Terminated` with exit code 137 (SIGKILL) and `oom_killed` false,
and no earlier event by which Nomad asked the task to end. The events are the same for a program that kills itself, or
that the kernel kills for lack of memory, and the engine's record is deleted with the container. So the cause is
reported as likely.
"""

from collections.abc import Iterable, Sequence

from environments.providers.nomad.ports import Allocation

KILLED_FROM_OUTSIDE = "its container was killed (SIGKILL), and its Nomad didn't ask for that"
"""The report of an incident, after the name of a task."""

LIKELY_CAUSE = (
    "Unless the program did that itself or the machine ran out of memory: another Nomad on the same Docker engine "
    "removes, every 5 minutes, containers that it doesn't know. Set `gc { dangling_containers { enabled = false } }` "
    "in its docker plugin; `calvinverse doctor` on that machine finds it"
)
"""The likely cause, and what to do."""


def killed_from_outside(allocations: Sequence[Allocation]) -> list[tuple[int, str, str]]:
    """Time (nanoseconds since 1970), allocation and task of each such kill, the oldest first."""
    return sorted(
        (event.at, found.id, task.name)
        for found in allocations
        for task in found.tasks
        for event in task.events
        if event.from_outside
    )


EventMark = tuple[str, str, int, str]
"""Allocation, task, time and kind, which identify an event of a task."""


def event_marks(allocations: Iterable[Allocation]) -> frozenset[EventMark]:
    """All events of tasks that Nomad has a record of."""
    return frozenset(
        (found.id, task.name, event.at, event.kind)
        for found in allocations
        for task in found.tasks
        for event in task.events
    )
