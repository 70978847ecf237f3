"""Routes that stop and start environments."""

from fastapi import APIRouter, status

from environments.api.guard import Caller
from environments.api.ports import Service
from environments.api.problems import problems
from environments.api.shown import taken
from environments.domain.errors import ManagedOutside, NotAllowedNow, UnknownEnvironment
from environments.wire.environments import Accepted, SwitchRequest

_CHANGED = problems(UnknownEnvironment, NotAllowedNow, ManagedOutside)


def switching_routes(service: Service) -> APIRouter:
    """Stop and start."""
    router = APIRouter(prefix="/v1", tags=["environments"])

    @router.post("/environments/{name}/stop", status_code=status.HTTP_202_ACCEPTED, responses=_CHANGED)
    def stop_environment(caller: Caller, name: str, request: SwitchRequest | None = None) -> Accepted:
        """Stops what an environment runs and keeps its data.

        It stays stopped until somebody, or the next start of its calendar, starts it. Its deadline stays.
        """
        reason = "" if request is None else request.reason
        return taken(service, caller, service.switching.stop(caller, name, reason))

    @router.post("/environments/{name}/start", status_code=status.HTTP_202_ACCEPTED, responses=_CHANGED)
    def start_environment(caller: Caller, name: str, request: SwitchRequest | None = None) -> Accepted:
        """Starts what a stop ended, as it ran before, and runs the checks."""
        reason = "" if request is None else request.reason
        return taken(service, caller, service.switching.start(caller, name, reason))

    return router
