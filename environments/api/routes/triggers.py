"""Routes of triggers."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status

from environments.api import presenting_triggers as presenting
from environments.api.guard import Caller
from environments.api.paging import PAGE, Limit, link_next
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.errors import (
    Forbidden,
    InvalidTrigger,
    ManagedOutside,
    NameTaken,
    NotAllowedNow,
    NotFound,
    UnknownEnvironment,
    UnknownTemplate,
)
from environments.service.trigger_testing import WantedDelivery, WantedEvent
from environments.wire.triggers import (
    TriggerChangeRequest,
    TriggerDetailsView,
    TriggerRequest,
    TriggerTestRequest,
    TriggerTestView,
    TriggerView,
)


def trigger_routes(service: Service) -> APIRouter:
    """Everything below /v1/triggers, and the triggers of environments."""
    router = APIRouter(prefix="/v1", tags=["triggers"])
    triggers = service.triggers

    @router.get("/triggers", responses=problems(NotFound))
    def list_triggers(
        caller: Caller,
        request: Request,
        response: Response,
        limit: Limit = PAGE,
        before: Annotated[str | None, Query(description="Only those older than the one with this id.")] = None,
    ) -> list[TriggerView]:
        """Lists triggers, newest first; to others than admins and auditors those that act for them."""
        found = triggers.all(caller, limit=limit, before=before)
        link_next(request, response, found, limit, before=found[-1].trigger.id if found else before or "")
        return [presenting.trigger(one) for one in found]

    @router.post(
        "/triggers",
        status_code=status.HTTP_201_CREATED,
        responses=problems(Forbidden, InvalidTrigger, UnknownTemplate, NameTaken, NotAllowedNow),
    )
    def create_trigger(caller: Caller, request: TriggerRequest) -> TriggerView:
        """Sets a trigger that stands alone and acts for the caller."""
        return presenting.trigger(triggers.set(caller, request.definition))

    @router.post("/triggers/test", responses=problems(NotFound, UnknownEnvironment))
    def test_triggers(caller: Caller, request: TriggerTestRequest) -> TriggerTestView:
        """Says what an event would do: which environments it would hit, and why not the others. Nothing happens."""
        event, delivery = request.event, request.delivery
        return presenting.tested(
            service.trigger_testing.test(
                caller,
                event=None if event is None else WantedEvent(**dict(event)),
                delivery=None if delivery is None else WantedDelivery(**dict(delivery)),
                only=request.only,
            )
        )

    @router.get("/triggers/{trigger_id}", responses=problems(NotFound))
    def show_trigger(caller: Caller, trigger_id: str) -> TriggerDetailsView:
        """Shows a trigger, and what it did last."""
        return presenting.trigger_details(triggers.one(caller, trigger_id))

    @router.put(
        "/triggers/{trigger_id}",
        responses=problems(Forbidden, InvalidTrigger, NotFound, UnknownTemplate, NameTaken, NotAllowedNow),
    )
    def change_trigger(caller: Caller, trigger_id: str, request: TriggerChangeRequest) -> TriggerView:
        """Replaces a trigger's definition, or pauses or resumes it. Only its owner says what it does."""
        return presenting.trigger(triggers.change(caller, trigger_id, request.definition, request.paused))

    @router.delete("/triggers/{trigger_id}", responses=problems(Forbidden, NotFound))
    def remove_trigger(caller: Caller, trigger_id: str) -> TriggerView:
        """Removes a trigger; what it has begun goes on."""
        return presenting.trigger(triggers.remove(caller, trigger_id))

    @router.get("/environments/{name}/triggers", responses=problems(UnknownEnvironment))
    def list_environment_triggers(caller: Caller, name: str) -> list[TriggerView]:
        """Lists the triggers that stand on an environment, those of its template first."""
        return [presenting.trigger(one) for one in triggers.on_environment(caller, name)]

    @router.post(
        "/environments/{name}/triggers",
        status_code=status.HTTP_201_CREATED,
        responses=problems(Forbidden, InvalidTrigger, UnknownEnvironment, ManagedOutside, NameTaken, NotAllowedNow),
    )
    def create_environment_trigger(caller: Caller, name: str, request: TriggerRequest) -> TriggerView:
        """Sets a trigger on an environment; it acts for the caller."""
        return presenting.trigger(triggers.set(caller, request.definition, name))

    return router
