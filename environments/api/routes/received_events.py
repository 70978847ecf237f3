"""Routes of received events."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status

from environments.api import presenting_triggers as presenting
from environments.api.guard import Caller
from environments.api.paging import PAGE, Limit, link_next
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.errors import Forbidden, NotAllowedNow, NotFound, UnknownEnvironment
from environments.domain.received_event import ReceivedState, Source
from environments.wire.fields import NoNul
from environments.wire.received_events import ReceivedEventDetailsView, ReceivedEventView

_Text = Annotated[Annotated[str, NoNul] | None, Query(max_length=500)]


def received_event_routes(service: Service) -> APIRouter:
    """Everything below /v1/received-events."""
    router = APIRouter(prefix="/v1/received-events", tags=["triggers"])
    events = service.event_reading

    @router.get("", responses=problems(NotFound, UnknownEnvironment))
    def list_received_events(
        caller: Caller,
        request: Request,
        response: Response,
        source: Annotated[Source | None, Query(description="Only from there.")] = None,
        subject: Annotated[_Text, Query(description="Such as `acme/shop#12`.")] = None,
        environment: Annotated[_Text, Query(description="About it, or with a firing on it; name or id.")] = None,
        state: ReceivedState | None = None,
        limit: Limit = PAGE,
        before: Annotated[_Text, Query(description="Only older than the one with this id.")] = None,
    ) -> list[ReceivedEventView]:
        """Lists received events, newest first; to others than admins and auditors those that concern them."""
        found = events.all(
            caller,
            source=source,
            subject=subject,
            environment=environment,
            state=state,
            limit=limit,
            before=before,
        )
        link_next(request, response, found, limit, before=found[-1].id if found else "")
        return [presenting.received_event(one) for one in found]

    @router.get("/{event_id}", responses=problems(NotFound))
    def show_received_event(caller: Caller, event_id: str) -> ReceivedEventDetailsView:
        """Shows a received event, and what triggers did because of it."""
        return presenting.received_event_details(events.one(caller, event_id))

    @router.post(
        "/{event_id}/replay",
        status_code=status.HTTP_202_ACCEPTED,
        responses=problems(Forbidden, NotFound, NotAllowedNow),
    )
    def replay_received_event(caller: Caller, event_id: str) -> ReceivedEventView:
        """Receives an event again: triggers are matched with it as they are now (admins)."""
        return presenting.received_event(events.replay(caller, event_id))

    return router
