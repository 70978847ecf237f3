"""Middleware before every route: metrics, unexpected errors, authentication, and limits per owner.

Plain ASGI and not dependencies of routes, so that paths which don't exist, and /openapi.json, are guarded as well.
"""

import hashlib
import logging
import sys
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from environments.api.clients import EdgeSecret, Refusals, client_of
from environments.api.concurrency import OwnerLimiter
from environments.api.open_paths import SIGN_IN_PATHS, webhook_of
from environments.api.problems import problem_response, unforeseen
from environments.api.rates import Rate, apart
from environments.api.route_paths import route_path
from environments.api.routes import edge, extend_link, module_states
from environments.domain.errors import CalvinverseError, TooManyRequests, Unauthenticated
from environments.service.audit_collecting import AuditCollector
from environments.service.authorization import Principal
from environments.service.module_states import ModuleStates
from environments.service.tokens import Tokens

OPEN_PATHS = frozenset({"/self/liveness", "/self/readiness", extend_link.PATH}) | SIGN_IN_PATHS
"""What answers without a token: what a supervisor asks, links, which bring a signature of their own, and signing in."""

EACH_AT_ONCE = 16
"""Requests of one owner that go on side by side."""

EACH_WAITING = 100
WAITING_SECONDS = 30.0

_STRANGERS = 200
"""Tokens that nobody has shown before and that wait to be looked up; more are refused."""

STRANGERS_EACH = 50
"""Those of one client that has an address of its own."""

BAD_TOKENS_EACH_MINUTE = 100
"""Tokens that turned out not to be good, of one such client; then its further unknown tokens are refused unread."""

_KNOWN = 1000
"""Tokens that were good before and are remembered for it."""

_log = logging.getLogger(__name__)
_scheme = HTTPBearer(description="A token made with `calvinverse token create`.", auto_error=False)

Observer = Callable[[str, str, int, float], None]
"""Told of each request: method, template of the route, status, seconds until its answer began."""


async def caller(request: Request, _: Annotated[object, Depends(_scheme)]) -> Principal:
    """The principal that `Authenticated` has found. (Async: FastAPI would call it in a thread.)"""
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
    """Outermost middleware: catches every exception, counts every request, and forbids caching."""

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
                self._observer(scope["method"], route_path(scope), status, time.perf_counter() - began)
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except CalvinverseError as error:
            if status:
                raise
            await problem_response(error)(scope, receive, watched_send)
        except Exception:
            _log.exception("unforeseen error: %s %s of %s", scope["method"], scope["path"], client_of(scope))
            if status:
                raise
            await problem_response(unforeseen())(scope, receive, watched_send)


class Authenticated:
    """Requires a valid token except on open paths; there a token is optional.

    States of modules are asked for by OpenTofu, and routes by the edge, with credentials of their own.
    """

    def __init__(
        self,
        app: ASGIApp,
        tokens: Tokens,
        states: ModuleStates,
        edge_secret: EdgeSecret | None = None,
        collector: AuditCollector | None = None,
    ) -> None:
        """Without a `collector` the audit log isn't told of refusals."""
        self._app = app
        self._collector = collector
        self._edge_secret = edge_secret or EdgeSecret(None)
        self._states = states
        self._lookups = _Lookups(tokens)
        self._refusals = Refusals()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                caller = module_states.admit(self._states, scope["path"], Headers(scope=scope).get("authorization", ""))
            except Unauthenticated as error:
                self._tell(scope, error)
                await problem_response(error, {"WWW-Authenticate": 'Basic realm="calvinverse"'})(scope, receive, send)
                return
            scope["state"]["state_caller"] = caller
            from_edge = edge.admit(
                self._edge_secret,
                scope["path"],
                Headers(scope=scope).get("authorization", ""),
                passed_on=bool(scope["state"].get("from_edge")),
            )
            if caller is None and not from_edge and webhook_of(scope) is None:
                await self._take_token(scope)
        await self._app(scope, receive, send)

    async def _take_token(self, scope: Scope) -> None:
        try:
            token = bearer(scope)
            found = await self._lookups.principal(token, apart(scope), client_of(scope))
            asked = f"{scope['method']} {scope['path']}"
            scope["state"]["principal"] = replace(found, request=asked)
        except (Unauthenticated, TooManyRequests) as error:
            if "authorization" in Headers(scope=scope):
                self._refusals.note(client_of(scope))
            if scope["path"] not in OPEN_PATHS:
                self._tell(scope, error)
                raise

    def _tell(self, scope: Scope, error: CalvinverseError) -> None:
        """Tells the audit log of a refusal of a caller who isn't known."""
        if self._collector is not None:
            self._collector.note_unknown(client_of(scope), scope["method"], error.code)


class _Lookups:
    """Looks tokens up in threads of its own; unknown tokens don't delay known ones."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._waiting: Counter[str] = Counter()
        self._bad = Rate(BAD_TOKENS_EACH_MINUTE, "tokens that are not good are shown from one address")
        self._lanes: tuple[anyio.CapacityLimiter, anyio.CapacityLimiter] | None = None

    async def principal(self, token: str, client: str = "", address: str = "") -> Principal:
        """The principal of a token, checked now. Raises `Unauthenticated`, `TooManyRequests`.

        `client`: its address if each client has another one, so that one can't take what all of them share. Whatever
        a client shows, tokens that were good before are looked up. `address`: where the request came from, for the
        audit log.
        """
        if self._lanes is None:
            self._lanes = anyio.CapacityLimiter(8), anyio.CapacityLimiter(4)
        fast, slow = self._lanes
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        known = digest in self._known
        if not known and slow.statistics().tasks_waiting >= _STRANGERS:
            raise TooManyRequests("Too many tokens that are not known here are shown at once.")
        stranger = client if not known else ""
        if stranger and self._waiting[stranger] >= STRANGERS_EACH:
            raise TooManyRequests("Too many tokens that are not known here are shown at once from one address.")
        if stranger:
            self._bad.check(stranger)
        self._waiting[stranger] += 1
        try:
            found = await anyio.to_thread.run_sync(
                self._tokens.authenticate, token, address, limiter=fast if known else slow
            )
        except Unauthenticated:
            self._known.pop(digest, None)
            if stranger:
                self._bad.note(stranger)
            raise
        finally:
            self._waiting[stranger] -= 1
            if not self._waiting[stranger]:
                del self._waiting[stranger]
        self._known[digest] = None
        self._known.move_to_end(digest)
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return found


class Shared:
    """Limits the requests of each owner in progress; more wait, and too many are refused.

    A stream of events counts until it begins; it takes no thread.
    """

    def __init__(self, app: ASGIApp, *, each: int = EACH_AT_ONCE, waiting: int = EACH_WAITING) -> None:
        self._app = app
        self._limiter = OwnerLimiter("requests", each=each, most=sys.maxsize, waiting=waiting, patience=WAITING_SECONDS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = scope["state"].get("principal") if scope["type"] == "http" else None
        if principal is None:
            await self._app(scope, receive, send)
            return
        await self._limiter.acquire(principal.owner)
        taken = True

        def give() -> None:
            nonlocal taken
            if taken:
                taken = False
                self._limiter.release(principal.owner)

        async def watched_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                kind = Headers(raw=message.get("headers", [])).get("content-type", "")
                if kind.startswith("text/event-stream"):
                    give()
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        finally:
            give()
