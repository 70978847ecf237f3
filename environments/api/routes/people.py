"""Routes of people, and of giving an environment to somebody."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from environments.api import name_paths, presenting, presenting_people
from environments.api.guard import Caller
from environments.api.paging import PAGE, Limit, link_next
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.access import PersonKind
from environments.domain.errors import (
    BackendDenied,
    BackendUnavailable,
    Forbidden,
    InvalidInput,
    ManagedOutside,
    NotAllowedNow,
    NotFound,
    UnknownEnvironment,
)
from environments.wire.environments import EnvironmentView
from environments.wire.people import (
    AssignmentView,
    AssignRequest,
    DepartureView,
    DisableRequest,
    PersonView,
    SuccessorRequest,
    TransferRequest,
)

_REFUSALS = (Forbidden, NotFound, NotAllowedNow, InvalidInput)
_AWAY = (BackendDenied, BackendUnavailable)


def people_routes(service: Service) -> APIRouter:
    """Everything below /v1/people, and /v1/environments/{name}/transfer."""
    name_paths.register()
    router = APIRouter(prefix="/v1", tags=["people"])
    refusals = problems(Forbidden, NotFound, NotAllowedNow, InvalidInput)
    people, old_owners, ownership = service.people, service.old_owners, service.ownership

    @router.get("/people", responses=problems(Forbidden))
    def list_people(
        caller: Caller,
        request: Request,
        response: Response,
        kind: Annotated[PersonKind | None, Query(description="Only those of this kind.")] = None,
        disabled: Annotated[bool | None, Query(description="Only those who are disabled, or who aren't.")] = None,
        limit: Limit = PAGE,
        after: Annotated[str, Query(description="Only those whose names come behind this one.")] = "",
    ) -> list[PersonView]:
        """Lists everybody by user name: people, service accounts and unclaimed owners. Admins and auditors only."""
        found = people.all(caller, kind=kind, disabled=disabled, after=after, limit=limit)
        link_next(request, response, found, limit, after=found[-1].person.name if found else after)
        return [presenting_people.person(one) for one in found]

    @router.get("/people/{person:person}", responses=problems(Forbidden, NotFound))
    def show_person(caller: Caller, person: str) -> PersonView:
        """Shows somebody; others than admins and auditors see only themselves."""
        return presenting_people.person(people.one(caller, person))

    @router.put("/people/{person:person}/successor", responses=problems(*_REFUSALS))
    def set_successor(caller: Caller, person: str, request: SuccessorRequest) -> PersonView:
        """Says who gets somebody's environments when they are disabled. Admins, and everybody for themselves."""
        return presenting_people.person(people.set_successor(caller, person, request.successor))

    @router.post("/people/{person:person}/disable", responses=problems(*_REFUSALS, *_AWAY))
    def disable_person(caller: Caller, person: str, request: DisableRequest) -> DepartureView:
        """Ends somebody's sessions and tokens at once, and gives their environments to a successor. Admins only."""
        return presenting_people.departure(
            people.disable(caller, person, successor=request.successor, exact=request.exact)
        )

    @router.post("/people/{person:person}/enable", responses=problems(Forbidden, NotFound, NotAllowedNow, *_AWAY))
    def enable_person(
        caller: Caller,
        person: str,
        exact: Annotated[bool, Query(description="Also if the built-in provider calls somebody else so.")] = False,
    ) -> PersonView:
        """Lets somebody sign in again. Admins only."""
        return presenting_people.person(people.enable(caller, person, exact=exact))

    @router.post("/people/{person:person}/assign", responses=refusals)
    def assign_owner(
        caller: Caller,
        person: str,
        request: AssignRequest,
        dry_run: Annotated[bool, Query(description="Only count what would move; store nothing.")] = False,
    ) -> AssignmentView:
        """Gives what belongs to an unclaimed owner to a person who has signed in. Admins only."""
        return presenting_people.assignment(
            old_owners.assign(caller, person, request.to, keep_name=request.keep_name, dry_run=dry_run)
        )

    @router.post(
        "/environments/{name}/transfer",
        responses=problems(UnknownEnvironment, Forbidden, NotFound, NotAllowedNow, ManagedOutside, InvalidInput),
    )
    def transfer_environment(caller: Caller, name: str, request: TransferRequest) -> EnvironmentView:
        """Gives an environment to a person, a service account or a group. Its owner and admins only."""
        return presenting.environment(ownership.transfer(caller, name, request.to))

    return router
