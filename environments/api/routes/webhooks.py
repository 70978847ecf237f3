"""Routes of webhooks: admins manage them, and whoever knows a secret delivers."""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

import anyio
import anyio.to_thread
from anyio import sleep
from fastapi import APIRouter, Path, Query, Request, Response, status

from environments.api import presenting_webhooks as presenting
from environments.api.clients import client_of
from environments.api.concurrency import BackendCalls
from environments.api.guard import Caller
from environments.api.paging import PAGE, Limit, link_next
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.errors import (
    BackendError,
    BackendUnavailable,
    DeliveryUnreadable,
    DeliveryUnsigned,
    Forbidden,
    ForgeRefused,
    ForgeUnavailable,
    InvalidLifetime,
    InvalidName,
    NameTaken,
    NotAllowedNow,
    NotFound,
    NotJson,
    RequestTooLarge,
    TooManyRequests,
    UnknownWebhook,
)
from environments.wire.webhooks import (
    DeliveryView,
    ForgeCheckView,
    ForgeTokenRequest,
    NewWebhookSecret,
    RotateRequest,
    WebhookDetails,
    WebhookRequest,
    WebhookUseRequest,
    WebhookView,
)

_AT_ONCE = 32
"""Deliveries that are stored side by side, most of them in one transaction."""

_WAITING = 512
"""Deliveries that wait for that; further ones are told to come again."""

REFUSED_AFTER = 0.1
"""Seconds after which a delivery that isn't signed is answered: the time doesn't tell what was looked up for it."""

_BODY = {"content": {"application/json": {"schema": {"type": "object"}}}, "required": True}

Name = Annotated[str, Path(alias="webhook", description="The webhook's name.")]


def webhook_routes(service: Service, backend_calls: BackendCalls) -> APIRouter:
    """Everything below /v1/webhooks."""
    router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
    webhooks, where = service.webhooks, service.own_address

    @router.get("", responses=problems(Forbidden))
    def list_webhooks(
        caller: Caller,
        request: Request,
        response: Response,
        limit: Limit = PAGE,
        after: Annotated[str, Query(description="Only those whose names come behind this one.")] = "",
    ) -> list[WebhookView]:
        """Lists webhooks by name (admins)."""
        found = webhooks.list(caller, after=after, limit=limit)
        link_next(request, response, found, limit, after=found[-1].name if found else after)
        return [presenting.webhook(one, where) for one in found]

    @router.post(
        "",
        status_code=status.HTTP_201_CREATED,
        responses=problems(
            Forbidden, InvalidName, NameTaken, NotFound, NotAllowedNow, BackendError, BackendUnavailable
        ),
    )
    async def create_webhook(caller: Caller, request: WebhookRequest) -> NewWebhookSecret:
        """Creates a webhook (admins). Only this answer holds its secret."""
        made = await backend_calls.run(
            caller.owner,
            partial(
                webhooks.create,
                caller,
                request.name,
                request.kind,
                address=request.address,
                allowed=request.allowed,
                token=request.token,
                users=request.users,
                repositories=request.repositories,
            ),
        )
        return presenting.new_secret(made, where)

    @router.get("/{webhook}", responses=problems(Forbidden, UnknownWebhook))
    def show_webhook(caller: Caller, name: Name) -> WebhookDetails:
        """Shows a webhook, and what was refused of its deliveries (admins)."""
        found = webhooks.show(caller, name)
        return presenting.details(found.webhook, where, found.refused, webhooks.refused_for_nobody(caller))

    @router.patch("/{webhook}", responses=problems(Forbidden, UnknownWebhook, NotFound, NotAllowedNow))
    def set_webhook_use(caller: Caller, name: Name, request: WebhookUseRequest) -> WebhookView:
        """Says who may use a webhook, and for which repositories (admins). What triggers have made stays."""
        changed = webhooks.set_use(caller, name, users=request.users, repositories=request.repositories)
        return presenting.webhook(changed, where)

    @router.delete("/{webhook}", responses=problems(Forbidden, UnknownWebhook, NotAllowedNow))
    async def delete_webhook(
        caller: Caller,
        name: Name,
        force: Annotated[
            bool, Query(description="Also while previews live by it; they end at their deadline.")
        ] = False,
    ) -> WebhookView:
        """Removes a webhook (admins): its deliveries are refused at once, and triggers hear nothing of it."""
        gone = await backend_calls.run(caller.owner, partial(webhooks.delete, caller, name, force=force))
        return presenting.webhook(gone, where)

    @router.post(
        "/{webhook}/rotate",
        responses=problems(Forbidden, UnknownWebhook, InvalidLifetime, BackendError, BackendUnavailable),
    )
    async def rotate_webhook(caller: Caller, name: Name, request: RotateRequest) -> NewWebhookSecret:
        """Gives a webhook a new secret, which only this answer holds (admins). The old one stays valid for a while."""
        made = await backend_calls.run(caller.owner, partial(webhooks.rotate, caller, name, request.overlap))
        return presenting.new_secret(made, where)

    @router.put(
        "/{webhook}/token",
        responses=problems(Forbidden, UnknownWebhook, NotAllowedNow, BackendError, BackendUnavailable),
    )
    async def set_webhook_token(caller: Caller, name: Name, request: ForgeTokenRequest) -> WebhookView:
        """Gives a webhook another token for its forge (admins)."""
        changed = await backend_calls.run(caller.owner, partial(webhooks.set_token, caller, name, request.token))
        return presenting.webhook(changed, where)

    @router.post("/{webhook}/check", responses=problems(Forbidden, UnknownWebhook, ForgeRefused, ForgeUnavailable))
    async def check_webhook(caller: Caller, name: Name) -> ForgeCheckView:
        """Asks the forge of a webhook whose account its token is of (admins)."""
        return ForgeCheckView(account=await backend_calls.run(caller.owner, partial(webhooks.check, caller, name)))

    return router


def delivery_routes(service: Service) -> APIRouter:
    """Where forges and others deliver."""
    router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
    take = _taking(service)

    @router.post(
        "/{webhook}/deliveries",
        status_code=status.HTTP_202_ACCEPTED,
        response_model_exclude_defaults=True,
        openapi_extra={"security": [], "requestBody": _BODY},
        responses=problems(DeliveryUnsigned, DeliveryUnreadable, NotJson, RequestTooLarge, BackendUnavailable)
        | {200: {"description": "It is known already, or nothing is done with it.", "model": DeliveryView}},
    )
    async def deliver(request: Request, response: Response, name: Name) -> DeliveryView:
        """Takes a delivery that is signed with the webhook's secret; needs no token.

        202 with the id of the event that it has become; 200 with the same id if it came before, and with the reason if
        nothing is done with it.
        """
        return await take(name, request, response)

    return router


def _taking(service: Service) -> Callable[[str, Request, Response], Awaitable[DeliveryView]]:
    threads: list[anyio.CapacityLimiter] = []
    deliveries = service.deliveries

    async def take(name: str, request: Request, response: Response) -> DeliveryView:
        began = time.monotonic()
        body = await request.body()
        if not threads:
            threads.append(anyio.CapacityLimiter(_AT_ONCE))
        if threads[0].statistics().tasks_waiting >= _WAITING:
            raise TooManyRequests("Too many deliveries come in at once.", details={"retry_after": 5})
        headers = {key.lower(): value for key, value in request.headers.items()}
        address = client_of(request.scope)
        try:
            taken = await anyio.to_thread.run_sync(deliveries.take, name, headers, body, address, limiter=threads[0])
        except DeliveryUnsigned:
            await sleep(max(0.0, began + REFUSED_AFTER - time.monotonic()))
            raise
        if not taken.new:
            response.status_code = status.HTTP_200_OK
        return presenting.taken(taken)

    return take
