"""Routes of environments."""

from functools import partial
from typing import Annotated, Literal

import anyio.to_thread
from fastapi import APIRouter, Header, Query, Request, Response, status

from environments.api import presenting
from environments.api.concurrency import BackendCalls
from environments.api.environment_texts import EnvironmentTexts
from environments.api.guard import Caller
from environments.api.paging import LARGEST_PAGE, PAGE, Limit, Skip, link_next
from environments.api.ports import Service
from environments.api.problems import problems
from environments.api.selecting import Selected, WhoseEnvironments
from environments.api.shown import shown, taken
from environments.domain.commands import CreateEnvironment, UpdateEnvironment
from environments.domain.environment import Event
from environments.domain.errors import (
    BackendError,
    BackendUnavailable,
    CheckTooCostly,
    Forbidden,
    IdempotencyMismatch,
    InvalidInput,
    InvalidLifetime,
    InvalidName,
    InvalidParameters,
    ManagedOutside,
    NameTaken,
    NotAllowedNow,
    NotFound,
    SchemaUnsupported,
    TooManyRequests,
    UnknownEnvironment,
    UnknownTemplate,
)
from environments.service.selection import Order
from environments.wire.deployments import DeploymentView
from environments.wire.environments import (
    Accepted,
    CheckView,
    CreateRequest,
    DestroyRequest,
    EnvironmentView,
    ExplanationView,
    ExtendRequest,
    OutputView,
    ResourceView,
    UpdateRequest,
)

LARGEST_ID = 2**63 - 1
"""The largest integer that the database stores."""

_ONE = problems(UnknownEnvironment)
_CHANGED = problems(UnknownEnvironment, NotAllowedNow, ManagedOutside)


Sort = Literal["created", "-created", "name", "-name", "deadline", "-deadline", "state", "-state"]


def environment_routes(service: Service, backend_calls: BackendCalls) -> APIRouter:
    """Everything below /v1/environments, and the mirror of what other services own."""
    router = APIRouter(prefix="/v1", tags=["environments"])
    reading, requests, texts = service.reading, service.requests, EnvironmentTexts()

    @router.get("/environments", responses=_ONE, response_model=list[EnvironmentView])
    def list_environments(
        caller: Caller,
        request: Request,
        which: Selected,
        limit: Limit = LARGEST_PAGE,
        before: Annotated[str | None, Query(description="Only those older than the one with this id.")] = None,
        outputs: Annotated[bool, Query(description="With their outputs, which are left out otherwise.")] = False,
        whose: WhoseEnvironments = None,
        sort: Annotated[
            Sort | None,
            Query(
                description="By what the list is sorted, `-created` by default; a minus in front reverses the order."
            ),
        ] = None,
        after: Annotated[
            str | None, Query(description="Only what comes behind a page: from the Link header of that page.")
        ] = None,
    ) -> Response:
        """Lists the environments that the caller sees, newest first; everybody's for an admin and an auditor.

        Like every list it comes in pages: one behind which more may come names
        the address of the next in its Link header (RFC 8288).

        Sorted by `deadline`, those without one are last; by `state`, those that failed are first. Of such a
        list and of a filtered one, `after` names the end of a page; `before` is for others.
        """
        asked = sort is not None or after is not None or which.narrowed
        if asked and before is not None:
            raise InvalidInput("`before` can't be used with filters and orders.", hint="Use `after`.")
        if asked:
            order, descending = Order((sort or "-created").removeprefix("-")), (sort or "-").startswith("-")
            listed = service.overview.listing(
                caller, which, whose, order=order, descending=descending, after=after, limit=limit
            )
            found, standings, behind = listed.page, listed.standings, {"after": listed.after}
        else:
            found, standings = reading.listing(
                caller, ended=which.ended, owner=which.owner, limit=limit, before=before, whose=whose
            )
            behind = {"before": found[-1].id if found else ""}
        response = Response(texts.of(found, standings, outputs=outputs), media_type="application/json")
        link_next(request, response, found, limit, **behind)
        return response

    @router.post(
        "/environments",
        status_code=status.HTTP_202_ACCEPTED,
        responses=problems(
            UnknownTemplate,
            Forbidden,
            NameTaken,
            InvalidName,
            InvalidParameters,
            InvalidLifetime,
            IdempotencyMismatch,
            SchemaUnsupported,
            CheckTooCostly,
            TooManyRequests,
        ),
    )
    def create_environment(
        caller: Caller,
        request: CreateRequest,
        response: Response,
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
    ) -> Accepted:
        """Requests an environment, and answers at once with the deployment to follow.

        The same Idempotency-Key (of a token) with the same body makes one environment, however often it is sent.
        """
        result = requests.create(caller, CreateEnvironment(**request.model_dump()), idempotency_key)
        response.headers["Location"] = f"/v1/environments/{result.environment.id}"
        return taken(service, caller, result)

    @router.post(
        "/environments/check",
        responses=problems(UnknownTemplate, Forbidden, SchemaUnsupported, CheckTooCostly, TooManyRequests),
    )
    def check_environment(caller: Caller, request: CreateRequest) -> CheckView:
        """Tells what a request to create would come to, without creating; for forms, while somebody fills them in."""
        return presenting.foreseen(requests.check(caller, CreateEnvironment(**request.model_dump())))

    @router.get("/environments/{name}", responses=_ONE)
    def show_environment(caller: Caller, name: str) -> EnvironmentView:
        """Shows an environment with its newest deployment and steps.

        Here and wherever a path names an environment: what has the shape of an id (`env-` and 12 of the letters and
        digits that ids are made of) is an id, all else a name. `id:…` and `name:…` say which. An environment that is
        older than this rule may be named like an id: it is found by that name if the caller sees none with that id.
        """
        return presenting.environment_details(reading.environment(caller, name))

    @router.put(
        "/environments/{name}",
        status_code=status.HTTP_202_ACCEPTED,
        responses=problems(
            UnknownEnvironment,
            UnknownTemplate,
            Forbidden,
            NotAllowedNow,
            ManagedOutside,
            InvalidParameters,
            SchemaUnsupported,
            CheckTooCostly,
            TooManyRequests,
        ),
    )
    def update_environment(caller: Caller, name: str, request: UpdateRequest) -> Accepted:
        """Applies the newest or the named version of the template, and changed parameters."""
        return taken(service, caller, requests.update(caller, name, UpdateEnvironment(**dict(request))))

    @router.post("/environments/{name}/retry", status_code=status.HTTP_202_ACCEPTED, responses=_CHANGED)
    def retry_environment(caller: Caller, name: str) -> Accepted:
        """Retries a create or destroy that failed."""
        return taken(service, caller, requests.retry(caller, name))

    @router.post(
        "/environments/{name}/extend",
        responses=problems(UnknownEnvironment, NotAllowedNow, ManagedOutside, InvalidLifetime),
    )
    def extend_environment(caller: Caller, name: str, request: ExtendRequest) -> EnvironmentView:
        """Moves the deadline, later or earlier."""
        moved = requests.extend(caller, name, by=request.by, ttl=request.ttl, until=request.until)
        return shown(service, caller, moved)

    @router.get("/environments/{name}/explain", responses=_ONE)
    def explain_environment(
        caller: Caller,
        name: str,
        moments: Annotated[int, Query(ge=1, le=100, description="At most so many.")] = 10,
        why_not: Annotated[bool, Query(description="Also what won't happen, and what prevents it.")] = False,
        past: Annotated[int, Query(ge=0, le=100, description="At most so much of what happened to it.")] = 10,
        past_before: Annotated[
            int | None, Query(ge=1, le=LARGEST_ID, description="Only what happened before the one with this id.")
        ] = None,
    ) -> ExplanationView:
        """Shows what the calendar will do to an environment next, when, and because of which rule.

        Also what happened to it, newest first: stops, starts, other deployments, edits of its deadline and its rules,
        by which rule and on whose behalf.

        With `why_not` also the moments since a week ago at which it does nothing although a rule or a person
        names them.
        """
        found = reading.explain(caller, name, moments, why_not=why_not, past=past, past_before=past_before)
        return presenting.explanation(found)

    @router.post("/environments/{name}/destroy", status_code=status.HTTP_202_ACCEPTED, responses=_CHANGED)
    def destroy_environment(caller: Caller, name: str, request: DestroyRequest | None = None) -> Accepted:
        """Destroys now. A second request during the destruction gets the running deployment."""
        reason = "" if request is None else request.reason
        return taken(service, caller, requests.destroy(caller, name, reason))

    @router.get(
        "/environments/{name}/outputs", responses=problems(UnknownEnvironment, BackendError, BackendUnavailable)
    )
    async def show_outputs(
        caller: Caller,
        name: str,
        reveal: Annotated[bool, Query(description="Show secret values; OpenBao's audit log notes it.")] = False,
    ) -> dict[str, OutputView]:
        """Shows the outputs; secrets are masked unless they are revealed."""
        read = partial(reading.outputs, caller, name, reveal=reveal)
        found = await (backend_calls.run(caller.owner, read) if reveal else anyio.to_thread.run_sync(read))
        return presenting.outputs(found)

    @router.get("/environments/{name}/deployments", responses=problems(UnknownEnvironment, NotFound))
    def list_deployments(
        caller: Caller,
        request: Request,
        response: Response,
        name: str,
        limit: Limit = PAGE,
        before: Annotated[str | None, Query(description="Only those older than the one with this id.")] = None,
    ) -> list[DeploymentView]:
        """Lists the deployments of an environment, newest first."""
        found = reading.deployments(caller, name, limit=limit, before=before)
        link_next(request, response, found, limit, before=found[-1].id if found else "")
        return [presenting.deployment(one) for one in found]

    @router.get("/environments/{name}/resources", responses=_ONE)
    def list_resources(
        caller: Caller, request: Request, response: Response, name: str, limit: Limit = LARGEST_PAGE, skip: Skip = 0
    ) -> list[ResourceView]:
        """Lists the inventory: everything that was made or may have been made for an environment."""
        found = reading.resources(caller, name, limit=limit, skip=skip)
        link_next(request, response, found, limit, skip=skip + len(found))
        return [presenting.resource(one) for one in found]

    @router.get("/environments/{name}/events", responses=_ONE)
    def list_events(
        caller: Caller,
        request: Request,
        response: Response,
        name: str,
        after: Annotated[int, Query(ge=0, le=LARGEST_ID, description="Only events with a larger id.")] = 0,
        newest: Annotated[bool, Query(description="The newest ones; the next page has older ones.")] = False,
        before: Annotated[
            int | None, Query(ge=1, le=LARGEST_ID, description="With `newest`: only events with a smaller id.")
        ] = None,
        limit: Limit = 500,
    ) -> list[Event]:
        """Lists stored events of an environment, oldest first; log lines are events of type `log`."""
        if newest:
            latest = reading.latest_events(caller, name, before=before, limit=limit)
            link_next(request, response, latest, limit, before=latest[0].id if latest else 1)
            return latest
        found = reading.events(caller, name, after=after, limit=limit)
        link_next(request, response, found, limit, after=found[-1].id if found else after)
        return found

    @router.put("/mirror/{name}", responses=problems(Forbidden, NameTaken, NotAllowedNow))
    def mirror_environment(caller: Caller, name: str, view: EnvironmentView) -> EnvironmentView:
        """Shows, read-only, an environment that another service owns."""
        if view.name != name:
            raise InvalidInput(f"The path names {name!r} and the body {view.name!r}.")
        return shown(service, caller, requests.mirror(caller, presenting.mirrored(view)))

    return router
