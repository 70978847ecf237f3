"""What the edge asks the service for: its routes, and certificates for them. Not in OpenAPI: nobody else may ask.

The edge shows a credential that is derived from the secret which it shares with the service. The secret itself isn't
enough, since it goes along with every request of a client that the edge passes on.
"""

import hmac
from dataclasses import asdict
from hashlib import sha256
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Response
from pydantic import Field

from environments.api.clients import EdgeSecret
from environments.domain.errors import Unauthenticated
from environments.steps.entry_points import RouteSource
from environments.wire.fields import Request

PATHS = frozenset({"/v1/edge/routes", "/v1/edge/certificates"})
SCHEME = "Edge"
LABEL = b"calvinverse: what the edge asks the service for"
"""The label with which the credential is derived from the shared secret."""

LONGEST_WAIT = 25.0
"""Seconds that a question for routes may take: half of the time after which a silent edge counts as gone."""

_AT_ONCE = 8
"""Threads for edges: each edge has one question open."""

_Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]


class RoutesRequest(Request):
    """An edge asks for a table of another `version`, and says what it `serves`. `wait`: seconds."""

    edge: _Id
    serves: Annotated[tuple[Annotated[str, Field(max_length=120)], ...], Field(max_length=10_000)] = ()
    version: Annotated[str, Field(max_length=64)] = ""
    wait: Annotated[float, Field(ge=0, le=LONGEST_WAIT)] = 0


class CertificateRequest(Request):
    """An edge asks for the certificate of an environment: `environment` is its id, `request` is PKCS #10 in PEM."""

    environment: Annotated[str, Field(max_length=40)]
    request: Annotated[str, Field(max_length=4096)]


def credential(secret: bytes) -> str:
    """The credential of whoever has the secret."""
    return hmac.new(secret, LABEL, sha256).hexdigest()


def admit(secret: EdgeSecret, path: str, authorization: str, *, passed_on: bool) -> bool:
    """Whether the edge asks; False for other paths. `passed_on`: the edge sends it for a client.

    Raises `Unauthenticated`.
    """
    if path not in PATHS:
        return False
    kind, _, shown = authorization.partition(" ")
    known = secret.current()
    good = bool(known) and hmac.compare_digest(shown.strip().encode(), credential(known).encode())
    if passed_on or kind != SCHEME or not good:
        raise Unauthenticated("Only the edge may ask for this.")
    return True


def edge_routes(routes: RouteSource) -> APIRouter:
    """/v1/edge: who asks is known by then."""
    router = APIRouter(prefix="/v1/edge", include_in_schema=False)
    threads: list[anyio.CapacityLimiter] = []

    def limiter() -> anyio.CapacityLimiter:
        if not threads:
            threads.append(anyio.CapacityLimiter(_AT_ONCE))
        return threads[0]

    @router.post("/routes")
    async def next_routes(asked: RoutesRequest) -> Any:
        """The next table; 204 when there is no other one in time."""

        def wait() -> Any:
            return routes.next(asked.edge, asked.serves, asked.version, asked.wait)

        found = await anyio.to_thread.run_sync(wait, limiter=limiter())
        return Response(status_code=204) if found is None else asdict(found)

    @router.post("/certificates")
    async def sign_certificate(asked: CertificateRequest) -> Any:
        """A certificate for all entry points of an environment."""

        def sign() -> Any:
            return asdict(routes.certificate(asked.environment, asked.request))

        return await anyio.to_thread.run_sync(sign, limiter=limiter())

    return router
