"""The stream of live events."""

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from environments.api.guard import Caller, bearer
from environments.api.ports import Service
from environments.api.problems import problems
from environments.api.routes.environments import LARGEST_ID
from environments.api.streams import Hub, Reader
from environments.domain.errors import InvalidInput, UnknownEnvironment


def event_routes(service: Service, hub: Hub) -> APIRouter:
    """/v1/events."""
    router = APIRouter(prefix="/v1", tags=["events"])

    @router.get(
        "/events",
        response_class=StreamingResponse,
        responses={
            **problems(UnknownEnvironment),
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
        """Streams what happens: `id` is the event's id, `event` its type, `data` the event as JSON."""
        if last_event_id:
            if not last_event_id.isdecimal() or int(last_event_id) > LARGEST_ID:
                raise InvalidInput("Last-Event-ID is not the id of an event.")
            after = int(last_event_id)
        wanted = None
        if environment is not None:
            view = await anyio.to_thread.run_sync(service.reading.environment, caller, environment)
            wanted = view.id
        reader = Reader(hub, service.reading, service.access, caller, bearer(request.scope))
        return StreamingResponse(
            reader.stream(after, wanted), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    return router
