"""Limits on request bodies: their size, the time that they take to arrive, and the memory of large ones together."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import anyio
import anyio.to_thread
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from environments.api.clients import client_of
from environments.api.memory_budget import IDLE, Allocation, MemoryBudget
from environments.api.open_paths import webhook_of
from environments.api.rates import address_key
from environments.api.routes import module_states
from environments.domain.errors import InvalidInput, NotJson, RequestTooLarge, RequestTooSlow
from environments.domain.json_values import DEEPEST, parse_json
from environments.domain.template import LARGEST_BUNDLE
from environments.service.authorization import Action, Principal, check_service
from environments.service.deliveries import LARGEST_DELIVERY
from environments.service.module_access import StateCaller

LARGEST_BODY = 256 * 1024
"""Bytes; a request with parameters and the text of a certificate is far below."""

_AROUND = 8
"""Levels of nesting that a request adds around a person's values."""

LARGEST_PUSH = LARGEST_BUNDLE * 4 // 3 + LARGEST_BODY
"""Bytes; a bundle in base64 and its paths."""

PUSHES_AT_ONCE = 4 * LARGEST_PUSH
"""Bytes of large bundles in memory at a time; one owner gets at most half."""

STATES_AT_ONCE = 3 * module_states.LARGEST_STATE
"""Bytes of large module states in memory at a time; one environment gets at most a third."""

DELIVERIES_AT_ONCE = 12 * LARGEST_DELIVERY
"""Bytes of large deliveries to webhooks in memory at a time; one client's address gets at most a third."""

MOST_PARTS = 100_000
"""Values, names and escaped characters in a large body: parsing makes an object of each."""

_INLINE = 16 * 1024
"""Bytes; a larger body is parsed in a thread."""

LONGEST = 20.0
"""Seconds that a body may take to arrive."""

LONGEST_LARGE = 120.0
"""Seconds for bundles and states."""

_PUSHES = {"/v1/templates": Action.TEMPLATE_PUSH, "/v1/templates/validate": Action.TEMPLATE_VALIDATE}
"""Paths that accept bundles."""

_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "LOCK", "UNLOCK"})


@dataclass(frozen=True)
class _Limits:
    """How large a body may be, and which budget and owner its memory counts for if it is large."""

    largest: int
    budget: MemoryBudget
    owner: str
    raw: bool = False
    """The body isn't JSON for a route: a module's state, or a delivery, whose signature is checked first."""

    webhook: str | None = None
    """The name of the webhook that a delivery is to."""


class Limited:
    """Middleware that limits bodies, and refuses JSON that can't be stored: NaN, unpaired surrogates."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        longest: float = LONGEST,
        most_at_once: int = PUSHES_AT_ONCE,
        idle: float = IDLE,
        too_large: Callable[[str, str], None] = lambda webhook, address: None,
    ) -> None:
        """`too_large` is told of deliveries that are: to which webhook, and from which address."""
        self._app = app
        self._too_large = too_large
        self._longest = longest
        self._pushes = MemoryBudget(most_at_once, most_at_once // 2, LARGEST_BODY, idle=idle)
        self._states = MemoryBudget(STATES_AT_ONCE, STATES_AT_ONCE // 3, LARGEST_BODY, idle=idle)
        self._deliveries = MemoryBudget(DELIVERIES_AT_ONCE, DELIVERIES_AT_ONCE // 3, LARGEST_BODY, idle=idle)
        self._threads: anyio.CapacityLimiter | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        limits = self._limits(scope)
        quick = limits.largest <= LARGEST_BODY or limits.webhook is not None
        longest = self._longest if quick else max(self._longest, LONGEST_LARGE)
        with limits.budget.allocation(limits.owner) as allocation:
            try:
                async with asyncio.timeout(longest) as allocation.receiving:
                    body = await _read(scope, receive, limits.largest, allocation)
            except RequestTooLarge:
                if limits.webhook is not None:
                    self._too_large(limits.webhook, client_of(scope))
                raise
            except TimeoutError:
                raise RequestTooSlow("The body of the request didn't come in time.") from None
            allocation.receiving = None
            if body is not None:
                if limits.webhook is None:
                    _check_kind(scope, body)
                if body and not limits.raw:
                    await self._check(body)
                await self._app(scope, _replaying(body, receive), send)

    def _limits(self, scope: Scope) -> _Limits:
        """Raises `Forbidden` before a byte is read if the caller may not send bodies that large."""
        if (webhook := webhook_of(scope)) is not None:
            return _Limits(LARGEST_DELIVERY, self._deliveries, address_key(scope), raw=True, webhook=webhook)
        state = scope["state"].get("state_caller")
        if isinstance(state, StateCaller) and scope["method"] == "POST":
            return _Limits(module_states.LARGEST_STATE, self._states, state.environment_id, raw=True)
        principal = scope["state"].get("principal")
        owner = principal.owner if isinstance(principal, Principal) else ""
        action = _PUSHES.get(scope["path"]) if scope["method"] == "POST" else None
        if action is None or not isinstance(principal, Principal):
            return _Limits(LARGEST_BODY, self._pushes, owner)
        check_service(principal, action)
        return _Limits(LARGEST_PUSH, self._pushes, owner)

    async def _check(self, body: bytes) -> None:
        if len(body) <= _INLINE:
            check_json(body)
            return
        if len(body) > LARGEST_BODY:
            _count(body)
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(2)
        await anyio.to_thread.run_sync(check_json, body, limiter=self._threads)


async def _read(scope: Scope, receive: Receive, largest: int, allocation: Allocation) -> bytes | None:
    """Reads the body; None when the client has disconnected. Raises `RequestTooLarge`, `TooManyRequests`."""
    announced = Headers(scope=scope).get("content-length", "")
    expected = int(announced) if announced.isdecimal() and len(announced) < 20 else 0
    body = bytearray()
    more = True
    while True:
        if max(expected, len(body)) > largest:
            raise RequestTooLarge(f"The body of the request is larger than {largest} bytes.")
        allocation.grow(len(body))
        if not more:
            return bytes(body)
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)


def _count(body: bytes) -> None:
    """Raises `InvalidInput` for a body with so many values that parsing would need much more memory than the body."""
    if sum(map(body.count, (b"[", b"{", b",", b"\\"))) > MOST_PARTS:
        raise InvalidInput(f"The body holds more than {MOST_PARTS} values, names and escaped characters.")


def _check_kind(scope: Scope, body: bytes) -> None:
    if body:
        kind = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise NotJson(f"The body is {kind or 'of no type'}, and not JSON.")


def _replaying(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def check_json(body: bytes) -> None:
    """Raises `InvalidInput` for what isn't standard JSON or can't be stored, even though Python parses it."""
    try:
        parse_json(body, DEEPEST + _AROUND)
    except ValueError as error:
        raise InvalidInput(f"The body is not JSON: {error}.", hint="Send one JSON object in UTF-8.") from error
