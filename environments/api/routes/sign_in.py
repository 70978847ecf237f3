"""Routes of signing in, of sessions, and of who one is."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from environments.api import presenting_sign_in as presenting
from environments.api.clients import client_of
from environments.api.guard import Caller
from environments.api.open_paths import SIGN_IN
from environments.api.ports import Service
from environments.api.problems import ERROR, problem_response, problems
from environments.api.rates import Rate, by_address
from environments.domain.errors import (
    AccessDenied,
    AuthorizationPending,
    BackendError,
    BackendUnavailable,
    DeviceCodeExpired,
    NotFound,
    SignInRefused,
    SlowDown,
)
from environments.wire.sign_in import (
    ClaimReportView,
    DeviceRequest,
    DeviceTokenRequest,
    DeviceTokenView,
    DeviceView,
    EndedView,
    ExchangeRequest,
    NewSessionView,
    ProviderView,
    SessionView,
    WhoView,
)

_AT_ONCE = 4
"""Calls that may ask a provider, side by side: it may take seconds to answer, or not answer at all."""

_SIGN_INS = 30
_LOOKS = 120
_DEVICES = 10
_QUESTIONS = 300
"""In a minute from one address; 20 machines that wait ask 240 times."""

_OPEN: dict[str, Any] = {"security": []}

T = TypeVar("T")


def sign_in_routes(service: Service) -> APIRouter:
    """Everything below /v1/auth."""
    router = APIRouter(prefix=SIGN_IN, tags=["sign-in"])
    threads: list[anyio.CapacityLimiter] = []
    sign_ins = Depends(by_address(Rate(_SIGN_INS, "attempts to sign in")))
    looks = Depends(by_address(Rate(_LOOKS, "requests for providers")))
    devices = Depends(by_address(Rate(_DEVICES, "requests for codes of devices")))
    questions = Depends(by_address(Rate(_QUESTIONS, "questions of devices")))

    async def apart(call: Callable[[], T]) -> T:
        if not threads:
            threads.append(anyio.CapacityLimiter(_AT_ONCE))
        return await anyio.to_thread.run_sync(call, limiter=threads[0])

    @router.get("/providers", dependencies=[looks], openapi_extra=_OPEN, responses=problems())
    async def list_providers() -> list[ProviderView]:
        """Lists the providers by which people sign in; needs no token."""
        return await apart(lambda: [presenting.provider(one) for one in service.sign_in.providers.all()])

    @router.post(
        "/exchange",
        dependencies=[sign_ins],
        openapi_extra=_OPEN,
        responses=problems(SignInRefused, NotFound, BackendError, BackendUnavailable),
    )
    async def exchange_identity_token(request: Request, asked: ExchangeRequest) -> NewSessionView:
        """Begins a session for a fresh identity token, once; only this answer holds the session's secret."""
        note = f"command line on {asked.machine}" if asked.machine else "command line"
        address = client_of(request.scope)

        def exchange() -> NewSessionView:
            made = service.sign_in.exchange(
                asked.provider, asked.identity_token, nonce=asked.nonce, address=address, note=note
            )
            return presenting.new_session(made)

        return await apart(exchange)

    @router.post(
        "/claims",
        dependencies=[sign_ins],
        openapi_extra=_OPEN,
        responses=problems(SignInRefused, NotFound, BackendError, BackendUnavailable),
    )
    async def try_identity_token(asked: ExchangeRequest) -> ClaimReportView:
        """Says what an exchange of this identity token would do, by which rules; changes nothing."""

        def report() -> ClaimReportView:
            return presenting.claims(service.sign_in.try_out(asked.provider, asked.identity_token, nonce=asked.nonce))

        return await apart(report)

    @router.post("/device", dependencies=[devices], openapi_extra=_OPEN, responses=problems())
    def begin_device_grant(request: Request, asked: DeviceRequest) -> DeviceView:
        """Gives a machine without a browser two codes; a person approves it on a page (RFC 8628)."""
        made = service.device_grants.begin(asked.machine, address=client_of(request.scope))
        page = (service.device_grants.address or str(request.base_url).rstrip("/")) + "/device"
        return DeviceView(
            device_code=made.device_code,
            user_code=made.user_code,
            verification_uri=page,
            verification_uri_complete=f"{page}?code={quote(made.user_code)}",
            expires_in=made.seconds,
            interval=made.interval,
        )

    @router.post(
        "/device/token",
        dependencies=[questions],
        openapi_extra=_OPEN,
        responses=problems(AuthorizationPending, SlowDown, AccessDenied, DeviceCodeExpired, SignInRefused),
        response_model=DeviceTokenView,
    )
    def ask_device_grant(request: Request, asked: DeviceTokenRequest) -> DeviceTokenView | Response:
        """Begins the session of an approved machine, once. Problems have `error`, as RFC 6749 (5.2) names it, too."""
        try:
            made = service.device_grants.poll(asked.device_code, address=client_of(request.scope))
        except SignInRefused as error:
            request.scope["state"][ERROR] = error
            known = isinstance(error, AuthorizationPending | SlowDown | AccessDenied | DeviceCodeExpired)
            return problem_response(error, more={"error": error.code if known else "access_denied"})
        return DeviceTokenView(
            access_token=made.secret,
            expires_in=made.seconds,
            user_name=made.person.name,
            session=presenting.session(made.token),
        )

    @router.get("/whoami", responses=problems())
    def who_am_i(caller: Caller) -> WhoView:
        """Tells who the caller is, in which groups, and with which role."""
        return presenting.who(service.sign_in.profile(caller))

    @router.post("/sign-out", responses=problems(NotFound))
    def sign_out(caller: Caller) -> EndedView:
        """Ends the session of the request. Other tokens are no sessions: `not_found`."""
        service.sessions.sign_out(caller)
        return EndedView(ended=1)

    @router.get("/sessions", responses=problems(NotFound))
    def list_sessions(
        caller: Caller, owner: Annotated[str, Query(description="Whose sessions (admins); default: one's own.")] = ""
    ) -> list[SessionView]:
        """Lists sessions that haven't ended, newest first."""
        return [presenting.session(one, caller.token_id) for one in service.sessions.all(caller, owner)]

    @router.delete("/sessions", responses=problems())
    def end_all_sessions(caller: Caller) -> EndedView:
        """Ends all of one's sessions, this one too."""
        return EndedView(ended=service.sessions.end_all(caller))

    @router.delete("/sessions/{token_id}", responses=problems(NotFound))
    def end_session(caller: Caller, token_id: str) -> SessionView:
        """Ends a session: one's own, an admin everybody's."""
        return presenting.session(service.sessions.end(caller, token_id), caller.token_id)

    return router
