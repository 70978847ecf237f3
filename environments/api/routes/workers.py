"""Workers: who carries out deployments."""

from fastapi import APIRouter

from environments.api.guard import Caller
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.views import WorkerView


def worker_routes(service: Service) -> APIRouter:
    """/v1/workers."""
    router = APIRouter(prefix="/v1", tags=["service"])

    @router.get("/workers", responses=problems())
    def list_workers(caller: Caller) -> list[WorkerView]:
        """Lists the workers that were heard of lately, newest first, and the caller's deployments that they run."""
        return service.queueing.workers(caller)

    return router
