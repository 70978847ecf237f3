"""Routes of holds: everybody sees them, admins decide about them."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from environments.api import presenting
from environments.api.guard import Caller
from environments.api.paging import PAGE, Limit, link_next
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.errors import Forbidden, InvalidLifetime, NotAllowedNow, NotFound
from environments.wire.holds import CancelHoldRequest, HoldView, ReleaseHoldRequest


def hold_routes(service: Service) -> APIRouter:
    """Everything below /v1/holds."""
    router = APIRouter(prefix="/v1", tags=["holds"])
    holding = service.holding

    @router.get("/holds", responses=problems(NotFound))
    def list_holds(
        caller: Caller,
        request: Request,
        response: Response,
        ended: Annotated[bool, Query(description="Also those that were released, were cancelled or ended.")] = False,
        limit: Limit = PAGE,
        before: Annotated[str | None, Query(description="Only those older than the one with this id.")] = None,
    ) -> list[HoldView]:
        """Lists holds of destroys by the clock, newest first."""
        found = holding.list(caller, ended=ended, limit=limit, before=before)
        link_next(request, response, found, limit, before=found[-1].hold.id if found else "")
        return [presenting.hold(one) for one in found]

    @router.post("/holds/{hold_id}/release", responses=problems(Forbidden, NotFound, NotAllowedNow))
    def release_hold(caller: Caller, hold_id: str, request: ReleaseHoldRequest) -> HoldView:
        """Lets the clock destroy what the hold holds (admins)."""
        return presenting.hold(holding.release(caller, hold_id, request.reason, request.environments))

    @router.post("/holds/{hold_id}/cancel", responses=problems(Forbidden, NotFound, NotAllowedNow, InvalidLifetime))
    def cancel_hold(caller: Caller, hold_id: str, request: CancelHoldRequest) -> HoldView:
        """Keeps what the hold holds: moves the deadlines, also past a maximum (admins)."""
        return presenting.hold(holding.cancel(caller, hold_id, request.reason, request.keep_for))

    return router
