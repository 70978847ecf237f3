"""Routes of previews: who sees an environment, or owns the trigger, sees its previews."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from environments.api import presenting_triggers as presenting
from environments.api.guard import Caller
from environments.api.paging import PAGE, Limit, Skip, link_next
from environments.api.ports import Service
from environments.api.problems import problems
from environments.wire.previews import PreviewView


def preview_routes(service: Service) -> APIRouter:
    """/v1/previews."""
    router = APIRouter(prefix="/v1", tags=["previews"])

    @router.get("/previews", responses=problems())
    def list_previews(
        caller: Caller,
        request: Request,
        response: Response,
        ended: Annotated[bool, Query(description="Also those that have ended in the last 30 days.")] = False,
        limit: Limit = PAGE,
        skip: Skip = 0,
    ) -> list[PreviewView]:
        """Lists previews of pull requests, by repository and number."""
        found = service.preview_reading.list(caller, ended=ended, limit=limit, skip=skip)
        link_next(request, response, found, limit, skip=skip + len(found))
        return [presenting.preview(one) for one in found]

    return router
