"""Containers that somebody other than their Nomad killed: how that shows, and what people are told.

Measured with Nomad 1.10: whoever removes a running container by force, as another Nomad on the same Docker engine does
with those that it doesn't know, leaves `Terminated` with exit code 137 (SIGKILL) on the task, without `OOM Killed`, and
without anything before it by which Nomad asked for the end. The engine's own record goes with the container, so nobody
can say who it was.
"""

from collections.abc import Sequence

from environments.executors.nomad_ports import Allocation

KILLED_FROM_OUTSIDE = "its container was killed by SIGKILL, which its Nomad didn't ask for"
"""What happened, after the name of a task."""

LIKELY_CAUSE = (
    "Another Nomad on the same Docker engine does that, every 5 minutes, to containers that it doesn't know, until its "
    "docker plugin has `gc { dangling_containers { enabled = false } }`; `calvinverse doctor` on that machine looks "
    "for one"
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
