"""The stream of live events."""

import re
from collections.abc import AsyncIterator
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from environments.api.guard import Caller, bearer
from environments.api.ports import Service
from environments.api.problems import problems
from environments.api.routes.environments import LARGEST_ID
from environments.api.streams import Hub, Reader
from environments.domain.errors import InvalidInput, TooManyRequests, UnknownEnvironment

_EVENT_ID = re.compile(r"[0-9]{1,19}")


class EventStream(StreamingResponse):
    """Server-sent events, which take one of the places of their owner from before they begin until they have ended."""

    media_type = "text/event-stream"

    def __init__(self, hub: Hub, owner: str, events: AsyncIterator[bytes]) -> None:
        super().__init__(events, headers={"X-Accel-Buffering": "no"})
        self._hub = hub
        self._owner = owner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._hub.place(self._owner):
            await super().__call__(scope, receive, send)


def event_routes(service: Service, hub: Hub) -> APIRouter:
    """/v1/events."""
    router = APIRouter(prefix="/v1", tags=["events"])

    @router.get(
        "/events",
        response_class=StreamingResponse,
        responses={
            **problems(UnknownEnvironment, TooManyRequests),
            200: {"description": "Server-sent events without end.", "content": {"text/event-stream": {}}},
        },
    )
    async def stream_events(
        request: Request,
        caller: Caller,
        environment: Annotated[
            str | None, Query(description="Only this environment's, by name or id, as in paths.")
        ] = None,
        after: Annotated[
            int | None, Query(ge=0, le=LARGEST_ID, description="Begin behind this event; without it, with the next.")
        ] = None,
        last_event_id: Annotated[str | None, Header(description="Like `after`, and stronger.")] = None,
    ) -> StreamingResponse:
        """Streams events: `id` is the event's id, `event` its type, `data` the event as JSON.

        An owner has at most 100 streams open at once, and opens at most 300 in a minute. All together have at most
        500 open, of which the last 100 are for owners with fewer than 10.
        """
        if last_event_id:
            if not _EVENT_ID.fullmatch(last_event_id) or int(last_event_id) > LARGEST_ID:
                raise InvalidInput("Last-Event-ID is not the id of an event.")
            after = int(last_event_id)
        # What happens once the answer has begun is heard, however long the stream takes to begin.
        begin = hub.position if after is None else after
        wanted = None
        if environment is not None:
            found = await anyio.to_thread.run_sync(service.reading.environment, caller, environment)
            wanted = found.environment.id
        reader = Reader(hub, service.reading, service.tokens, caller, bearer(request.scope))
        return EventStream(hub, caller.owner, reader.stream(begin, wanted))

    return router
