"""Routes of deployments."""

from fastapi import APIRouter

from environments.api import presenting
from environments.api.guard import Caller
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.errors import ManagedOutside, NotAllowedNow, NotFound, UnknownEnvironment
from environments.wire.deployments import CancelRequest, DeploymentView, PendingView


def deployment_routes(service: Service) -> APIRouter:
    """Everything below /v1/deployments, and the cancel of an environment's deployment."""
    router = APIRouter(prefix="/v1", tags=["environments"])

    @router.get("/deployments/{deployment_id}", responses=problems(NotFound))
    def show_deployment(caller: Caller, deployment_id: str) -> DeploymentView:
        """Shows a deployment with the journal of its steps."""
        return presenting.deployment(service.reading.deployment(caller, deployment_id))

    @router.get("/deployments/{deployment_id}/why", responses=problems(NotFound))
    def explain_deployment(caller: Caller, deployment_id: str) -> PendingView:
        """Says why a deployment waits, with its position in the queue; or what it does, or how it ended."""
        return presenting.pending(service.queueing.why(caller, deployment_id))

    @router.post("/environments/{name}/cancel", responses=problems(UnknownEnvironment, NotAllowedNow, ManagedOutside))
    def cancel_deployment(caller: Caller, name: str, request: CancelRequest | None = None) -> DeploymentView:
        """Cancels the queued or running deployment; with `force` running steps get no grace period.

        A destroy can't be cancelled.
        """
        force = request is not None and request.force
        return presenting.deployment(service.queueing.cancel(caller, name, force=force))

    return router
