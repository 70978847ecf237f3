"""Routes of workers."""

from fastapi import APIRouter, Request, Response

from environments.api import presenting
from environments.api.guard import Caller
from environments.api.paging import PAGE, Limit, Skip, link_next
from environments.api.ports import Service
from environments.api.problems import problems
from environments.wire.deployments import WorkerView


def worker_routes(service: Service) -> APIRouter:
    """/v1/workers."""
    router = APIRouter(prefix="/v1", tags=["service"])

    @router.get("/workers", responses=problems())
    def list_workers(
        caller: Caller, request: Request, response: Response, limit: Limit = PAGE, skip: Skip = 0
    ) -> list[WorkerView]:
        """Lists the workers with a recent heartbeat, newest first, and the caller's deployments that they run."""
        found = service.queueing.workers(caller, limit=limit, skip=skip)
        link_next(request, response, found, limit, skip=skip + len(found))
        return [presenting.worker(one) for one in found]

    return router
