"""Routes of containers: what runs of an environment, and what it writes."""

import asyncio
import time
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from environments.api.concurrency import BackendCalls, OwnerLimiter
from environments.api.guard import Caller
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.containers import Container, Stream
from environments.domain.errors import (
    BackendError,
    BackendUnavailable,
    Forbidden,
    InvalidInput,
    ManagedOutside,
    NotAllowedNow,
    NotFound,
    TooManyRequests,
    UnknownEnvironment,
)
from environments.service.container_logs import MOST_BYTES, MOST_LINES, Asked, LogPart
from environments.wire.containers import ContainerLineView, ContainerLogView, ContainerView

LONGEST_WAIT = 20
"""Seconds that a request for more may wait: who follows asks again and again, so nothing stays open for long."""

PAUSE = 1.0
"""Seconds between two looks at a container while a request waits."""

FOLLOWED = 8
"""Containers that one owner follows at once."""

FOLLOWED_BY_ALL = 64

_FAULTS = problems(
    UnknownEnvironment, Forbidden, ManagedOutside, NotAllowedNow, TooManyRequests, BackendError, BackendUnavailable
)

Which = Literal["stdout", "stderr", "both"]


def container_routes(service: Service) -> APIRouter:
    """Below /v1/environments/{name}/containers. Nomad is asked in threads of its own, and for each owner by a limit."""
    router = APIRouter(prefix="/v1", tags=["containers"])
    calls = BackendCalls(each=2, most=6, waiting=FOLLOWED + 8, patience=20.0, each_minute=60 * FOLLOWED + 240)
    followed = OwnerLimiter("followed containers", each=FOLLOWED, most=FOLLOWED_BY_ALL, waiting=0, patience=0)
    logs = service.container_logs

    @router.get("/environments/{name}/containers", responses=_FAULTS)
    async def list_containers(caller: Caller, name: str) -> list[ContainerView]:
        """Lists what runs of an environment and what ran, as long as Nomad knows it: each has a log."""
        found = await calls.run(caller.owner, partial(logs.containers, caller, name))
        return [_shown(one) for one in found]

    @router.get("/environments/{name}/containers/log", responses={**_FAULTS, **problems(NotFound, InvalidInput)})
    async def read_container_log(
        caller: Caller,
        name: str,
        job: Annotated[str | None, Query(max_length=500, description="The job; all if it isn't given.")] = None,
        task: Annotated[str | None, Query(max_length=500, description="The task.")] = None,
        allocation: Annotated[
            str | None,
            Query(max_length=100, description="The id of the allocation, or its beginning; else the newest one."),
        ] = None,
        stream: Annotated[Which, Query(description="What it wrote where.")] = "both",
        last: Annotated[int, Query(ge=1, le=MOST_LINES, description="Only the last lines of each stream.")] = 200,
        last_bytes: Annotated[
            int | None,
            Query(ge=1, le=MOST_BYTES, description="Begin so many bytes before the end of each stream, instead."),
        ] = None,
        after: Annotated[
            str | None,
            Query(max_length=100, description="Go on behind this place, or from the `beginning` of what is left."),
        ] = None,
        wait: Annotated[
            int, Query(ge=0, le=LONGEST_WAIT, description="With `after`: seconds to wait for a line if there is none.")
        ] = 0,
    ) -> ContainerLogView:
        """Shows what a container of an environment wrote to its standard output and standard error.

        An answer has some 100 KB of each stream at most; `after` of one answer goes on where that ended, and whoever
        follows asks with `wait`. An owner follows at most 8 containers at once. A line that isn't complete yet comes
        when it is.
        """
        asked = Asked(job, task, allocation)
        streams = tuple(Stream) if stream == "both" else (Stream(stream),)
        read = partial(logs.read, caller, name, asked, streams=streams, after=after, last=last, last_bytes=last_bytes)
        if after is None or not wait:
            return _part(await calls.run(caller.owner, read))
        async with followed.slot(caller.owner):
            end = time.monotonic() + wait
            while True:
                found = await calls.run(caller.owner, read)
                left = end - time.monotonic()
                if found.lines or found.missed or found.container.ended or left <= 0:
                    return _part(found)
                read = partial(read, after=found.after)
                await asyncio.sleep(min(PAUSE, left))

    return router


def _shown(container: Container) -> ContainerView:
    return ContainerView.model_validate(container, from_attributes=True)


def _part(found: LogPart) -> ContainerLogView:
    lines = [ContainerLineView(stream=line.stream, text=line.text) for line in found.lines]
    ended = found.container.ended and not found.more
    return ContainerLogView(
        container=_shown(found.container),
        lines=lines,
        after=found.after,
        more=found.more,
        missed=found.missed,
        ended=ended,
    )
