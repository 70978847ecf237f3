"""Containers of an environment in the API, and what they write."""

from datetime import datetime

from environments.domain.containers import Stream
from environments.wire.fields import View


class ContainerView(View):
    """A task of an allocation. `state` is pending, running or dead."""

    job: str
    group: str
    task: str
    allocation: str
    version: int
    state: str
    failed: bool
    restarts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ContainerLineView(View):
    """A line, without control characters and known secrets; a long one is cut."""

    stream: Stream
    text: str


class ContainerLogView(View):
    """Lines of a container; those of standard error come behind the others.

    `after` is the place behind them. `more`: there are more already. `missed`: what followed the place that was given
    is deleted. `ended`: nothing more will be written.
    """

    container: ContainerView
    lines: list[ContainerLineView]
    after: str
    more: bool
    missed: bool
    ended: bool
