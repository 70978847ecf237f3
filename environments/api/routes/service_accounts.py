"""Routes of service accounts: admins manage all, others those that they are responsible for."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status

from environments.api import presenting
from environments.api.guard import Caller
from environments.api.paging import PAGE, Limit, link_next
from environments.api.ports import Service
from environments.api.problems import problems
from environments.api.routes.tokens import wanted_scope
from environments.domain.errors import (
    Forbidden,
    InvalidLifetime,
    InvalidName,
    NameTaken,
    NotAllowedNow,
    NotFound,
    UnknownEnvironment,
    UnknownTemplate,
)
from environments.wire.service_accounts import (
    AccountTokenRequest,
    ServiceAccountChange,
    ServiceAccountRequest,
    ServiceAccountView,
)
from environments.wire.tokens import NewToken, TokenView


def service_account_routes(service: Service) -> APIRouter:
    """Everything below /v1/service-accounts."""
    router = APIRouter(prefix="/v1/service-accounts", tags=["service accounts"])
    accounts = service.service_accounts

    @router.get("", responses=problems())
    def list_service_accounts(
        caller: Caller,
        request: Request,
        response: Response,
        limit: Limit = PAGE,
        after: Annotated[str, Query(description="Only those whose names come behind this one.")] = "",
    ) -> list[ServiceAccountView]:
        """Lists service accounts by name: admins and auditors see all, others those that they are responsible for."""
        found = accounts.list(caller, after=after, limit=limit)
        link_next(request, response, found, limit, after=found[-1].person.name if found else after)
        return [presenting.service_account(one) for one in found]

    @router.post(
        "", status_code=status.HTTP_201_CREATED, responses=problems(Forbidden, InvalidName, NameTaken, NotAllowedNow)
    )
    def create_service_account(caller: Caller, request: ServiceAccountRequest) -> ServiceAccountView:
        """Creates a service account. Its name begins with `svc-`, and is never given to anybody else."""
        made = accounts.create(caller, request.name, description=request.description, responsible=request.responsible)
        return presenting.service_account(made)

    @router.get("/{name}", responses=problems(NotFound))
    def show_service_account(caller: Caller, name: str) -> ServiceAccountView:
        """Shows a service account."""
        return presenting.service_account(accounts.show(caller, name))

    @router.patch("/{name}", responses=problems(Forbidden, NotFound, NotAllowedNow))
    def change_service_account(caller: Caller, name: str, request: ServiceAccountChange) -> ServiceAccountView:
        """Changes its description, or who is responsible for it."""
        changed = accounts.change(caller, name, description=request.description, responsible=request.responsible)
        return presenting.service_account(changed)

    @router.post("/{name}/disable", responses=problems(Forbidden, NotFound))
    def disable_service_account(caller: Caller, name: str) -> ServiceAccountView:
        """Disables a service account: its tokens are revoked at once, and it gets no others."""
        return presenting.service_account(accounts.disable(caller, name))

    @router.post("/{name}/enable", responses=problems(Forbidden, NotFound))
    def enable_service_account(caller: Caller, name: str) -> ServiceAccountView:
        """Lets a service account have tokens again; those from before stay revoked."""
        return presenting.service_account(accounts.enable(caller, name))

    @router.get("/{name}/tokens", responses=problems(NotFound))
    def list_account_tokens(
        caller: Caller,
        name: str,
        request: Request,
        response: Response,
        limit: Limit = PAGE,
        before: Annotated[str | None, Query(description="Only those older than the one with this id.")] = None,
    ) -> list[TokenView]:
        """Lists its tokens without their secret part, newest first."""
        found = accounts.tokens(caller, name, limit=limit, before=before)
        link_next(request, response, found, limit, before=found[-1].id if found else "")
        return [presenting.token(one) for one in found]

    @router.post(
        "/{name}/tokens",
        status_code=status.HTTP_201_CREATED,
        responses=problems(Forbidden, InvalidLifetime, NotAllowedNow, NotFound, UnknownEnvironment, UnknownTemplate),
    )
    def create_account_token(caller: Caller, name: str, request: AccountTokenRequest) -> NewToken:
        """Creates a token of a service account; only this answer holds its secret."""
        made = accounts.create_token(caller, name, wanted_scope(request), ttl=request.ttl, note=request.note)
        return presenting.new_token(made)

    @router.delete("/{name}/tokens/{token_id}", responses=problems(Forbidden, NotFound))
    def revoke_account_token(caller: Caller, name: str, token_id: str) -> TokenView:
        """Revokes a token of a service account, at once and for good."""
        return presenting.token(accounts.revoke_token(caller, name, token_id))

    return router
