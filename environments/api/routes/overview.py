"""Counts of environments."""

from fastapi import APIRouter

from environments.api.guard import Caller
from environments.api.ports import Service
from environments.api.problems import problems
from environments.api.selecting import Selected, WhoseEnvironments
from environments.domain.errors import InvalidInput
from environments.wire.environments import OverviewView


def overview_routes(service: Service) -> APIRouter:
    """/v1/overview."""
    router = APIRouter(prefix="/v1", tags=["environments"])

    @router.get("/overview", responses=problems(InvalidInput))
    def show_overview(caller: Caller, which: Selected, whose: WhoseEnvironments = None) -> OverviewView:
        """Counts the environments that the caller sees, by state, with the same parameters as their list."""
        found = service.overview.counts(caller, which, whose)
        return OverviewView(**found._asdict())

    return router
