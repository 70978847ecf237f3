"""The endpoints of the built-in OpenID provider that programs call, passed on to OpenBao: these paths and no others.

What OpenBao is asked is one of a few constant paths. Of a request only the body, its kind and the header Authorization
are passed on, and only status, kind and body come back.
"""

import asyncio

import anyio
import anyio.to_thread
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from environments.api import route_paths
from environments.api.problems import problem_response
from environments.api.rates import Rate, address_key
from environments.domain.errors import InvalidInput, MethodNotAllowed, RequestTooLarge, RequestTooSlow
from environments.service.built_in_provider import ENDPOINTS, PROVIDER_PATH, ProviderEndpoints

_BY_PATH = {f"{PROVIDER_PATH}/{endpoint}": endpoint for endpoint in ENDPOINTS}

LARGEST_BODY = 64 * 1024
"""Bytes."""

_LONGEST_HEADER = 8 * 1024
_SECONDS = 10.0
"""For a body to arrive."""

EACH_MINUTE = 120
"""Requests of one client's address."""

_AT_ONCE = 8
_FORM = "application/x-www-form-urlencoded"


class PassedOn:
    """Middleware that answers for the provider; everything else goes on to the application."""

    def __init__(self, app: ASGIApp, endpoints: ProviderEndpoints) -> None:
        self._app = app
        self._endpoints = endpoints
        self._rate = Rate(EACH_MINUTE, "requests to the identity provider")
        self._threads: anyio.CapacityLimiter | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = _endpoint(scope)
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        route_paths.take(scope)
        methods = ENDPOINTS[endpoint]
        if scope["method"] not in methods:
            error = MethodNotAllowed(f"{scope['path']} doesn't have the method {scope['method'][:20]}.")
            await problem_response(error, {"Allow": ", ".join(methods)})(scope, receive, send)
            return
        answer = await self._answer(scope, receive, endpoint)
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, endpoint: str) -> Response:
        """Raises `InvalidInput`, `TooManyRequests`, `BackendError`."""
        self._rate.count(address_key(scope))
        if scope["query_string"]:
            raise InvalidInput("This path takes no query.")
        headers = Headers(scope=scope)
        authorization = headers.get("authorization", "")
        if len(headers.getlist("authorization")) > 1 or len(authorization) > _LONGEST_HEADER:
            raise InvalidInput("The header Authorization can't be used.")
        body = await _body(headers, receive) if scope["method"] == "POST" else b""
        if body and headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            raise InvalidInput(f"The body isn't a form ({_FORM}).")
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(_AT_ONCE)
        passed = await anyio.to_thread.run_sync(
            lambda: self._endpoints.pass_on(
                scope["method"], endpoint, body=body, content_type=_FORM, authorization=authorization
            ),
            limiter=self._threads,
        )
        known = {"Cache-Control": "no-store"}
        if passed.status == 401:
            known["WWW-Authenticate"] = "Bearer" if endpoint == "userinfo" else "Basic"
        return Response(passed.body, passed.status, known, media_type=passed.content_type)


def _endpoint(scope: Scope) -> str | None:
    """The endpoint at the path as it was sent: one that is written otherwise, such as with `%2F`, is another path."""
    if scope["type"] != "http":
        return None
    raw = scope.get("raw_path")
    path = scope["path"]
    return _BY_PATH.get(path) if raw is None or raw == path.encode() else None


async def _body(headers: Headers, receive: Receive) -> bytes:
    announced = headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 9 or int(announced) > LARGEST_BODY):
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise InvalidInput("The request was given up.")
                body += message.get("body", b"")
                if len(body) > LARGEST_BODY:
                    raise _too_large()
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise RequestTooSlow("The body of the request didn't come in time.") from None


def _too_large() -> RequestTooLarge:
    return RequestTooLarge(f"The body of the request is larger than {LARGEST_BODY} bytes.")
