"""Deployments by their id."""

from fastapi import APIRouter

from environments.api.guard import Caller
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.errors import NotFound
from environments.domain.views import DeploymentView


def deployment_routes(service: Service) -> APIRouter:
    """Everything below /v1/deployments."""
    router = APIRouter(prefix="/v1", tags=["environments"])

    @router.get("/deployments/{deployment_id}", responses=problems(NotFound))
    def show_deployment(caller: Caller, deployment_id: str) -> DeploymentView:
        """Shows a deployment with the journal of its steps."""
        return service.reading.deployment(caller, deployment_id)

    return router
