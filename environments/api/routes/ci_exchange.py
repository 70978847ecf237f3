"""The route by which CI systems exchange their identity tokens."""

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request, status

from environments.api import presenting
from environments.api.clients import client_of
from environments.api.ports import Service
from environments.api.problems import problems
from environments.api.rates import Rate, address_key
from environments.domain.errors import BackendError, BackendUnavailable, SignInRefused
from environments.service.records import NewToken as MadeToken
from environments.wire.ci_exchange import CiExchangeRequest
from environments.wire.tokens import NewToken

_AT_ONCE = 4
"""Exchanges side by side: an issuer whose keys are fetched may take seconds to answer."""

_EACH_MINUTE = 600
"""Exchanges of one address, behind which all runners of a company may be; a pipeline begins 60 jobs at once."""

_REFUSED_EACH_MINUTE = 60


def ci_exchange_routes(service: Service) -> APIRouter:
    """/v1/auth/exchange/ci. It needs no token, and is limited by address."""
    router = APIRouter(prefix="/v1/auth", tags=["sign-in"])
    threads: list[anyio.CapacityLimiter] = []
    asked = Rate(_EACH_MINUTE, "exchanges of CI tokens from one address")
    refused = Rate(_REFUSED_EACH_MINUTE, "refused exchanges of CI tokens from one address")

    @router.post(
        "/exchange/ci",
        status_code=status.HTTP_201_CREATED,
        openapi_extra={"security": []},
        responses=problems(SignInRefused, BackendError, BackendUnavailable),
    )
    async def exchange_ci_token(request: Request, wanted: CiExchangeRequest) -> NewToken:
        """Gives a short token of a service account for a fresh identity token of a CI system, once, by a rule."""
        key, address = address_key(request.scope), client_of(request.scope)
        refused.check(key)
        asked.count(key)
        if not threads:
            threads.append(anyio.CapacityLimiter(_AT_ONCE))

        def exchange() -> MadeToken:
            return service.ci_exchange.exchange(wanted.rule, wanted.identity_token, address=address)

        try:
            made = await anyio.to_thread.run_sync(exchange, limiter=threads[0])
        except SignInRefused:
            refused.note(key)
            raise
        return presenting.new_token(made)

    return router
