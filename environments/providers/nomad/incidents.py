"""Containers that were not killed by their Nomad: how that is recognized, and what is reported.

Measured with Nomad 1.10 and Docker 20.10: a running container that is removed by force, as another Nomad on the same
engine does with those that it doesn't know, leaves `Terminated` with exit code 137 (SIGKILL) on the task, `oom_killed`
false, and nothing before it by which Nomad asked for the end. A program that kills itself, or that a machine without
memory ends, leaves the same; and the engine's record goes with the container. So the cause is reported as likely.
"""

from collections.abc import Iterable, Sequence

from environments.providers.nomad.ports import Allocation

KILLED_FROM_OUTSIDE = "its container was killed (SIGKILL), and its Nomad didn't ask for that"
"""What happened, after the name of a task."""

LIKELY_CAUSE = (
    "Unless the program did that itself or the machine ran out of memory: another Nomad on the same Docker engine "
    "removes, every 5 minutes, containers that it doesn't know. Set `gc { dangling_containers { enabled = false } }` "
    "in its docker plugin; `calvinverse doctor` on that machine finds it"
)
"""Why, most likely, and what to do."""


def killed_from_outside(allocations: Sequence[Allocation]) -> list[tuple[int, str, str]]:
    """When (nanoseconds since 1970), in which allocation and to which task it happened, the oldest first."""
    return sorted(
        (event.at, found.id, task.name)
        for found in allocations
        for task in found.tasks
        for event in task.events
        if event.from_outside
    )


EventMark = tuple[str, str, int, str]
"""Allocation, task, moment and kind of something that happened: no two things have the same."""


def event_marks(allocations: Iterable[Allocation]) -> frozenset[EventMark]:
    """What has happened to tasks so far, as far as Nomad remembers."""
    return frozenset(
        (found.id, task.name, event.at, event.kind)
        for found in allocations
        for task in found.tasks
        for event in task.events
    )
