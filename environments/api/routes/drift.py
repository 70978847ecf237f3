"""Routes of drift."""

from functools import partial

from fastapi import APIRouter

from environments.api import presenting
from environments.api.concurrency import BackendCalls
from environments.api.guard import Caller
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.errors import (
    BackendError,
    BackendUnavailable,
    ManagedOutside,
    NotAllowedNow,
    UnknownEnvironment,
)
from environments.wire.environments import DriftView


def drift_routes(service: Service, backend_calls: BackendCalls) -> APIRouter:
    """Observing an environment, and the result of the last observation."""
    router = APIRouter(prefix="/v1", tags=["drift"])

    @router.get("/environments/{name}/drift", responses=problems(UnknownEnvironment))
    def show_drift(caller: Caller, name: str) -> DriftView:
        """Shows the result of the last observation; makes no new one."""
        return presenting.drift(service.drifting.show(caller, name))

    @router.post(
        "/environments/{name}/observe",
        responses=problems(UnknownEnvironment, NotAllowedNow, ManagedOutside, BackendError, BackendUnavailable),
    )
    async def observe_environment(caller: Caller, name: str) -> DriftView:
        """Observes now: every step compares, and things that no step made are listed. Changes no resource."""
        found = await backend_calls.run(caller.owner, partial(service.drifting.observe, caller, name))
        return presenting.drift(found)

    return router
