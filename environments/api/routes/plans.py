"""Routes of plans."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Response, status

from environments.api import presenting
from environments.api.concurrency import BackendCalls
from environments.api.guard import Caller
from environments.api.ports import Service
from environments.api.problems import problems
from environments.api.shown import taken
from environments.domain.commands import MakePlan
from environments.domain.errors import (
    BackendError,
    BackendUnavailable,
    CheckTooCostly,
    Forbidden,
    ForeignResource,
    IdempotencyMismatch,
    InvalidLifetime,
    InvalidName,
    InvalidParameters,
    ManagedOutside,
    NameTaken,
    NotAllowedNow,
    NotFound,
    PlanStale,
    SchemaUnsupported,
    TooManyRequests,
    UnknownEnvironment,
    UnknownPlan,
    UnknownTemplate,
)
from environments.wire.environments import Accepted
from environments.wire.plans import PlanRequest, PlanView


def plan_routes(service: Service, backend_calls: BackendCalls) -> APIRouter:
    """Making a plan of an environment, and everything below /v1/plans."""
    router = APIRouter(prefix="/v1", tags=["plans"])

    @router.post(
        "/environments/{name}/plan",
        status_code=status.HTTP_201_CREATED,
        responses=problems(
            UnknownEnvironment,
            UnknownTemplate,
            NotFound,
            NameTaken,
            NotAllowedNow,
            ManagedOutside,
            ForeignResource,
            Forbidden,
            InvalidName,
            InvalidParameters,
            SchemaUnsupported,
            CheckTooCostly,
            TooManyRequests,
            InvalidLifetime,
            BackendError,
            BackendUnavailable,
        ),
    )
    async def make_plan(caller: Caller, name: str, request: PlanRequest, response: Response) -> PlanView:
        """Plans a change, step by step, and saves the plan to be applied as shown. Changes nothing.

        A plan to create names the environment that would be made.
        """
        wanted = MakePlan(**request.model_dump())
        plan = await backend_calls.run(caller.owner, partial(service.planning.plan, caller, name, wanted))
        response.headers["Location"] = f"/v1/plans/{plan.id}"
        return presenting.plan(plan)

    @router.get("/plans/{plan_id}", responses=problems(UnknownPlan))
    def show_plan(caller: Caller, plan_id: str) -> PlanView:
        """Shows a saved plan."""
        return presenting.plan(service.planning.show(caller, plan_id))

    @router.post(
        "/plans/{plan_id}/apply",
        status_code=status.HTTP_202_ACCEPTED,
        responses=problems(
            UnknownPlan,
            PlanStale,
            NameTaken,
            NotAllowedNow,
            ManagedOutside,
            IdempotencyMismatch,
            Forbidden,
            InvalidParameters,
            SchemaUnsupported,
            CheckTooCostly,
            TooManyRequests,
            InvalidLifetime,
        ),
    )
    def apply_plan(
        caller: Caller,
        plan_id: str,
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
    ) -> Accepted:
        """Applies a plan, once. Refuses if something has changed since, and `details.moved` says what.

        Changes in the backends are detected only when the steps run: then the deployment fails with `plan_stale`,
        and the step that detected one has changed nothing.
        """
        return taken(service, caller, service.planning.apply(caller, plan_id, idempotency_key))

    return router
