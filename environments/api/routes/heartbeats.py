"""The route by which an environment says that it is in use."""

from fastapi import APIRouter

from environments.api.guard import Caller
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.errors import ManagedOutside, NotAllowedNow, UnknownEnvironment
from environments.wire.environments import HeartbeatView


def heartbeat_routes(service: Service) -> APIRouter:
    """Heartbeats."""
    router = APIRouter(prefix="/v1", tags=["environments"])

    @router.post(
        "/environments/{name}/heartbeat", responses=problems(UnknownEnvironment, NotAllowedNow, ManagedOutside)
    )
    def beat(caller: Caller, name: str) -> HeartbeatView:
        """Says that an environment is in use, for its triggers on `idle` that count heartbeats.

        A token for this alone is limited to the environment and to the action `environment:heartbeat`.
        """
        return HeartbeatView(at=service.heartbeats.beat(caller, name))

    return router
