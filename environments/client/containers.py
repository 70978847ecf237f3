"""Calls for the containers of an environment."""

from collections.abc import Iterator
from typing import Literal

from environments.client.connection import ANSWER_SECONDS, Connection, Query
from environments.client.names import name_part
from environments.wire.containers import ContainerLogView, ContainerView

WAIT_SECONDS = 15
"""How long a call that follows waits at the service for more."""


class ContainerCalls(Connection):
    """See `environments.client.Client`."""

    def containers(self, name: str) -> list[ContainerView]:
        """What has a log: by job, group and task, the newest first of each."""
        return self._read(self._get(f"/v1/environments/{name_part(name)}/containers"), list[ContainerView])

    def container_log(
        self,
        name: str,
        *,
        job: str | None = None,
        task: str | None = None,
        allocation: str | None = None,
        stream: Literal["stdout", "stderr", "both"] = "both",
        last: int | None = None,
        last_bytes: int | None = None,
        after: str | None = None,
        wait: int | None = None,
    ) -> ContainerLogView:
        """A part of what a container wrote; `wait`: seconds to wait for more behind `after`."""
        query: Query = {
            "job": job,
            "task": task,
            "allocation": allocation,
            "stream": stream,
            "last": last,
            "last_bytes": last_bytes,
            "after": after,
            "wait": wait,
        }
        path = f"/v1/environments/{name_part(name)}/containers/log"
        seconds = ANSWER_SECONDS + (wait or 0)
        return self._read(self._request("GET", path, query=query, again=True, seconds=seconds), ContainerLogView)

    def container_log_from(self, name: str, first: ContainerLogView) -> Iterator[ContainerLogView]:
        """What comes behind a part as it is there now, part by part, until there is no more."""
        part = first
        while part.more:
            chosen = part.container
            part = self.container_log(
                name, job=chosen.job, task=chosen.task, allocation=chosen.allocation, after=part.after
            )
            yield part
