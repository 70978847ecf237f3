"""Routes of requests about an environment that is not as wanted."""

from fastapi import APIRouter, status

from environments.api.guard import Caller
from environments.api.ports import Service
from environments.api.problems import problems
from environments.api.shown import shown, taken
from environments.domain.errors import (
    Forbidden,
    ManagedOutside,
    NotAllowedNow,
    NotFound,
    UnknownEnvironment,
)
from environments.wire.environments import AbandonRequest, Accepted, EnvironmentView, RollbackRequest

_CHANGED = (UnknownEnvironment, NotAllowedNow, ManagedOutside)


def recovery_routes(service: Service) -> APIRouter:
    """Repair, promote, rollback and abandon."""
    router = APIRouter(prefix="/v1", tags=["environments"])

    @router.post(
        "/environments/{name}/repair",
        status_code=status.HTTP_202_ACCEPTED,
        responses=problems(*_CHANGED),
    )
    def repair_environment(caller: Caller, name: str) -> Accepted:
        """Restores what differs from what an environment's steps made; the rest stays untouched."""
        return taken(service, caller, service.recovery.repair(caller, name))

    @router.post(
        "/environments/{name}/promote",
        status_code=status.HTTP_202_ACCEPTED,
        responses=problems(*_CHANGED),
    )
    def promote_environment(caller: Caller, name: str) -> Accepted:
        """Promotes new versions that await promotion: they replace the old ones."""
        return taken(service, caller, service.recovery.promote(caller, name))

    @router.post(
        "/environments/{name}/rollback",
        status_code=status.HTTP_202_ACCEPTED,
        responses=problems(*_CHANGED, NotFound, Forbidden),
    )
    def roll_back_environment(caller: Caller, name: str, request: RollbackRequest | None = None) -> Accepted:
        """Rolls back to the template version and parameters of the last good deployment, or of the named one."""
        deployment = None if request is None else request.deployment
        return taken(service, caller, service.recovery.rollback(caller, name, deployment))

    @router.post("/environments/{name}/abandon", responses=problems(*_CHANGED))
    def abandon_environment(caller: Caller, name: str, request: AbandonRequest) -> EnvironmentView:
        """Abandons what can't be destroyed: records what may be left, and still observes it."""
        return shown(service, caller, service.recovery.abandon(caller, name, request.reason))

    return router
