"""What stands before every route: counting, errors nobody foresaw, authentication, and limits on bodies.

Plain ASGI and not dependencies of routes, so that paths which don't exist, and /openapi.json, are guarded as well.
"""

import json
import logging
import time
from collections.abc import Callable
from typing import Annotated, Any

import anyio.to_thread
from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from environments.api.problems import problem_response, unforeseen
from environments.api.routes import module_states
from environments.domain.errors import CalvinverseError, InvalidInput, NotJson, RequestTooLarge, Unauthenticated
from environments.domain.template import LARGEST_BUNDLE
from environments.service.access import Access
from environments.service.authorization import Principal
from environments.service.module_states import ModuleStates

OPEN_PATHS = frozenset({"/self/liveness", "/self/readiness"})
"""What answers without a token: what a supervisor asks."""

LARGEST_BODY = 256 * 1024
"""Bytes; a request with parameters and the text of a certificate is far below."""

LARGEST_PUSH = LARGEST_BUNDLE * 4 // 3 + LARGEST_BODY
"""Bytes; a bundle in base64 and its paths."""

_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "LOCK", "UNLOCK"})

_log = logging.getLogger(__name__)
_scheme = HTTPBearer(description="A token made with `calvinverse token create`.", auto_error=False)

Observer = Callable[[str, str, int, float], None]
"""Told of each request: method, template of the route, status, seconds until its answer began."""


def caller(request: Request, _: Annotated[object, Depends(_scheme)]) -> Principal:
    """Who asks; `Authenticated` has found out."""
    principal = request.scope["state"].get("principal")
    if not isinstance(principal, Principal):
        raise Unauthenticated("There is no token in the request.")
    return principal


Caller = Annotated[Principal, Depends(caller)]


def bearer(scope: Scope) -> str:
    """The token in the request's header. Raises `Unauthenticated`."""
    header = Headers(scope=scope).get("authorization", "")
    kind, _, token = header.partition(" ")
    if not header:
        raise Unauthenticated("There is no token in the request.")
    if kind.lower() != "bearer" or not token.strip():
        raise Unauthenticated("The Authorization header holds no bearer token.")
    return token.strip()


class Watched:
    """Outermost: no exception gets past it, every request is counted, and nothing of an answer is cached."""

    def __init__(self, app: ASGIApp, observer: Observer) -> None:
        self._app = app
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        began = time.perf_counter()
        status = 0

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")
                headers.setdefault("X-Content-Type-Options", "nosniff")
                self._observer(scope["method"], route_of(scope), status, time.perf_counter() - began)
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except CalvinverseError as error:
            if status:
                raise
            await problem_response(error)(scope, receive, watched_send)
        except Exception:
            _log.exception("unforeseen error: %s %s", scope["method"], scope["path"])
            if status:
                raise
            await problem_response(unforeseen())(scope, receive, watched_send)


class Authenticated:
    """Nothing gets past it without a good token but the open paths; those note who asks if they are told.

    States of modules are asked for by OpenTofu, with credentials of their own.
    """

    def __init__(self, app: ASGIApp, access: Access, states: ModuleStates) -> None:
        self._app = app
        self._access = access
        self._states = states

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                caller = module_states.admit(self._states, scope["path"], Headers(scope=scope).get("authorization", ""))
            except Unauthenticated as error:
                await problem_response(error, {"WWW-Authenticate": 'Basic realm="calvinverse"'})(scope, receive, send)
                return
            scope["state"]["state_caller"] = caller
            if caller is None:
                await self._take_token(scope)
        await self._app(scope, receive, send)

    async def _take_token(self, scope: Scope) -> None:
        try:
            token = bearer(scope)
            scope["state"]["principal"] = await anyio.to_thread.run_sync(self._access.authenticate, token)
        except Unauthenticated:
            if scope["path"] not in OPEN_PATHS:
                raise


class Limited:
    """Bodies are JSON of a sensible size, and hold only what can be stored: no NaN, no half characters."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        largest, content = _limits(scope)
        body = await _read(scope, receive, largest)
        if body is None:
            return
        if body:
            kind = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise NotJson(f"The body is {kind or 'of no type'}, and not JSON.")
            if not content:
                check_json(body)
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


def _limits(scope: Scope) -> tuple[int, bool]:
    """How large a body may be, and whether it carries content that is looked at elsewhere."""
    if scope["state"].get("state_caller") is not None and scope["method"] == "POST":
        return module_states.LARGEST_STATE, True
    if scope["path"] in ("/v1/templates", "/v1/templates/validate"):
        return LARGEST_PUSH, True
    return LARGEST_BODY, False


async def _read(scope: Scope, receive: Receive, largest: int) -> bytes | None:
    """The body; None when its sender has gone. Raises `RequestTooLarge`."""
    announced = Headers(scope=scope).get("content-length", "")
    parts: list[bytes] = []
    size = int(announced) if announced.isdigit() else 0
    more = True
    while more and size <= largest:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size = sum(map(len, parts))
        more = message.get("more_body", False)
    if size > largest:
        raise RequestTooLarge(f"The body of the request is larger than {largest} bytes.")
    return b"".join(parts)


def check_json(body: bytes) -> None:
    """Raises `InvalidInput` for what Python reads as JSON but nobody else does, or can't be stored."""
    try:
        document = json.loads(body, parse_constant=_refuse)
        if b"\\u" in body:
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidInput(f"The body is not JSON: {reason}.", hint="Send one JSON object in UTF-8.") from error


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a value of JSON")


def route_of(scope: Scope) -> str:
    """The template of the route that took the request, such as `/v1/environments/{name}`."""
    route = scope.get("route")
    return str(getattr(route, "path", "")) or "none"
