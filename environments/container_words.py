"""Containers in words, for every front end."""

from environments.wire.containers import ContainerView
from environments.words import one_line


def short_id(allocation: str) -> str:
    """The beginning of an allocation's id, as Nomad shows it."""
    return one_line(allocation)[:8]


def state_of(container: ContainerView) -> str:
    """`running`, `waiting to run`, `ended`, `failed`."""
    if container.state == "dead":
        return "failed" if container.failed else "ended"
    return "waiting to run" if container.state == "pending" else one_line(container.state)


def title_of(container: ContainerView) -> str:
    """`web/app 1a2b3c4d, running`."""
    return (
        f"{one_line(container.job)}/{one_line(container.task)} {short_id(container.allocation)}, {state_of(container)}"
    )
