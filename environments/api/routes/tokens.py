"""Routes of tokens: admins manage all, others their own."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status

from environments.api import presenting
from environments.api.guard import Caller
from environments.api.paging import PAGE, Limit, link_next
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.errors import Forbidden, InvalidLifetime, NotFound, UnknownEnvironment, UnknownTemplate
from environments.service.token_scopes import WantedScope
from environments.wire.tokens import NewToken, ScopeRequest, TokenRequest, TokenView


def token_routes(service: Service) -> APIRouter:
    """Everything below /v1/tokens."""
    router = APIRouter(prefix="/v1", tags=["tokens"])
    tokens = service.tokens

    @router.get("/tokens", responses=problems(NotFound))
    def list_tokens(
        caller: Caller,
        request: Request,
        response: Response,
        limit: Limit = PAGE,
        before: Annotated[str | None, Query(description="Only those older than the one with this id.")] = None,
    ) -> list[TokenView]:
        """Lists tokens without their secret part, newest first."""
        found = tokens.list(caller, limit=limit, before=before)
        link_next(request, response, found, limit, before=found[-1].id if found else "")
        return [presenting.token(one) for one in found]

    @router.post(
        "/tokens",
        status_code=status.HTTP_201_CREATED,
        responses=problems(Forbidden, InvalidLifetime, UnknownTemplate, UnknownEnvironment),
    )
    def create_token(caller: Caller, request: TokenRequest) -> NewToken:
        """Creates a token; only this answer holds its secret."""
        made = tokens.create_token(
            caller, request.owner, request.role, note=request.note, ttl=request.ttl, scope=wanted_scope(request)
        )
        return presenting.new_token(made)

    @router.delete("/tokens/{token_id}", responses=problems(NotFound))
    def revoke_token(caller: Caller, token_id: str) -> TokenView:
        """Revokes a token, at once and for good."""
        return presenting.token(tokens.revoke(caller, token_id))

    return router


def wanted_scope(request: ScopeRequest) -> WantedScope:
    """The limits of a request for a token."""
    return WantedScope(request.actions, request.templates, request.environments)
