"""Routes of the people of the built-in provider, and of issuers."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status

from environments.api.guard import Caller
from environments.api.paging import PAGE, Limit, link_next
from environments.api.problems import problems
from environments.domain.errors import (
    BackendDenied,
    BackendUnavailable,
    Forbidden,
    InvalidInput,
    NameTaken,
    NotAllowedNow,
    NotFound,
)
from environments.service.issuers import Issuers
from environments.service.local_people import LocalPerson, ManageLocalPeople, OneTimePassword
from environments.wire.people_local import (
    IssuerView,
    LocalGroupsRequest,
    LocalPersonRequest,
    LocalPersonView,
    MovedIssuerView,
    MoveIssuerRequest,
    OneTimePasswordView,
)

_AWAY = (BackendDenied, BackendUnavailable)
_ONE = "/local-people/{user_name}"


def local_people_routes(people: ManageLocalPeople, issuers: Issuers) -> APIRouter:
    """Everything below /v1/local-people and /v1/issuers."""
    router = APIRouter(prefix="/v1", tags=["people"])

    @router.get("/local-people", responses=problems(Forbidden, *_AWAY))
    def list_local_people(
        caller: Caller,
        request: Request,
        response: Response,
        limit: Limit = PAGE,
        after: Annotated[str, Query(description="Only those whose names come behind this one.")] = "",
    ) -> list[LocalPersonView]:
        """Lists the people of the built-in provider by user name; for admins and auditors."""
        found = people.all(caller, limit=limit, after=after)
        link_next(request, response, found, limit, after=found[-1].user_name if found else after)
        return [_person(one) for one in found]

    @router.post(
        "/local-people",
        status_code=status.HTTP_201_CREATED,
        responses=problems(Forbidden, InvalidInput, NameTaken, *_AWAY),
    )
    def create_local_person(caller: Caller, request: LocalPersonRequest) -> OneTimePasswordView:
        """Makes a person of the built-in provider; only this answer holds the one-time password."""
        made = people.create(
            caller,
            request.user_name,
            display_name=request.display_name,
            email=request.email,
            groups=request.groups,
        )
        return _one_time(made)

    @router.post(f"{_ONE}/disable", responses=problems(Forbidden, NotFound, NotAllowedNow, *_AWAY))
    def disable_local_person(caller: Caller, user_name: str) -> LocalPersonView:
        """Ends the person's sessions, and lets them sign in no more."""
        return _person(people.disable(caller, user_name))

    @router.post(f"{_ONE}/enable", responses=problems(Forbidden, NotFound, *_AWAY))
    def enable_local_person(caller: Caller, user_name: str) -> LocalPersonView:
        """Lets a disabled person sign in again, with the same password."""
        return _person(people.enable(caller, user_name))

    @router.post(f"{_ONE}/reset", responses=problems(Forbidden, NotFound, NotAllowedNow, *_AWAY))
    def reset_local_person(caller: Caller, user_name: str) -> OneTimePasswordView:
        """Replaces the person's password by a one-time password; only this answer holds it."""
        return _one_time(people.reset(caller, user_name))

    @router.put(f"{_ONE}/groups", responses=problems(Forbidden, InvalidInput, NotFound, *_AWAY))
    def set_local_groups(caller: Caller, user_name: str, request: LocalGroupsRequest) -> LocalPersonView:
        """Replaces the person's groups of the built-in provider; they count from the next sign-in on."""
        return _person(people.set_groups(caller, user_name, request.groups))

    @router.get("/issuers", responses=problems(Forbidden))
    def list_issuers(caller: Caller) -> list[IssuerView]:
        """Lists the issuers of people; for admins and auditors."""
        found = issuers.all(caller)
        return [IssuerView(issuer=one.issuer, people=one.people, built_in=one.built_in) for one in found]

    @router.post("/issuers/move", responses=problems(Forbidden, InvalidInput, NotFound, NameTaken))
    def move_issuer(caller: Caller, request: MoveIssuerRequest) -> MovedIssuerView:
        """Gives all people of an issuer another issuer: when the same provider has another address now."""
        return MovedIssuerView(moved=issuers.move(caller, request.old, request.new))

    return router


def _person(one: LocalPerson) -> LocalPersonView:
    return LocalPersonView(
        user_name=one.user_name,
        subject=one.subject,
        display_name=one.display_name,
        email=one.email,
        groups=one.groups,
        disabled=one.disabled,
        must_change=one.must_change,
        password_until=one.password_until,
        created_at=one.created_at,
    )


def _one_time(made: OneTimePassword) -> OneTimePasswordView:
    return OneTimePasswordView(
        person=_person(made.person), password=made.password, until=made.until, address=made.address
    )
