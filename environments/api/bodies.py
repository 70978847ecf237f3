"""Limits on bodies: JSON of a sensible size that comes in a sensible time, and not too many large ones at once."""

import asyncio
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from environments.api.routes import module_states
from environments.domain.errors import InvalidInput, NotJson, RequestTooLarge, RequestTooSlow, TooManyRequests
from environments.domain.template import LARGEST_BUNDLE
from environments.schemas.depth import DEEPEST, deeper_than

LARGEST_BODY = 256 * 1024
"""Bytes; a request with parameters and the text of a certificate is far below."""

_AROUND = 8
"""Levels that a request puts around the values of people."""

LARGEST_PUSH = LARGEST_BUNDLE * 4 // 3 + LARGEST_BODY
"""Bytes; a bundle in base64 and its paths."""

MOST_AT_ONCE = 2 * max(LARGEST_PUSH, module_states.LARGEST_STATE)
"""Bytes of large bodies (those beyond `LARGEST_BODY`) that are in memory at once."""

LONGEST = 20.0
"""Seconds that a body may take to come."""

LONGEST_LARGE = 120.0
"""Seconds for bundles and states."""

_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "LOCK", "UNLOCK"})


class Limited:
    """Bodies are JSON of a sensible size, and hold only what can be stored: no NaN, no half characters."""

    def __init__(self, app: ASGIApp, *, longest: float = LONGEST, most_at_once: int = MOST_AT_ONCE) -> None:
        self._app = app
        self._longest = longest
        self._room = _Room(most_at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        largest, content = _limits(scope)
        longest = self._longest if largest <= LARGEST_BODY else max(self._longest, LONGEST_LARGE)
        with self._room.part() as part:
            try:
                async with asyncio.timeout(longest):
                    body = await _read(scope, receive, largest, part)
            except TimeoutError:
                raise RequestTooSlow(f"The body of the request didn't come within {longest:g} s.") from None
            if body is not None:
                _check(scope, body, content)
                await self._app(scope, _replaying(body, receive), send)


class _Room:
    """The memory that large bodies share."""

    def __init__(self, most: int) -> None:
        self._left = most

    @contextmanager
    def part(self) -> Iterator["_Part"]:
        """What one body takes; it is free again after the block."""
        part = _Part(self)
        try:
            yield part
        finally:
            self._left += part.size

    def take(self, size: int) -> bool:
        """Whether there is room for so many bytes more; then they are taken."""
        if size > self._left:
            return False
        self._left -= size
        return True


class _Part:
    def __init__(self, room: _Room) -> None:
        self._room = room
        self.size = 0

    def grow(self, size: int) -> None:
        """Makes room for a body of `size` bytes; small ones need none. Raises `TooManyRequests`."""
        if size <= max(self.size, LARGEST_BODY):
            return
        if not self._room.take(size - self.size):
            raise TooManyRequests("Too many large requests come in at once.", details={"retry_after": 10})
        self.size = size


def _limits(scope: Scope) -> tuple[int, bool]:
    """How large a body may be, and whether it carries content that is looked at elsewhere."""
    if scope["state"].get("state_caller") is not None and scope["method"] == "POST":
        return module_states.LARGEST_STATE, True
    if scope["path"] in ("/v1/templates", "/v1/templates/validate"):
        return LARGEST_PUSH, True
    return LARGEST_BODY, False


async def _read(scope: Scope, receive: Receive, largest: int, part: _Part) -> bytes | None:
    """The body; None when its sender has gone. Raises `RequestTooLarge`, `TooManyRequests`."""
    announced = Headers(scope=scope).get("content-length", "")
    expected = int(announced) if announced.isdecimal() and len(announced) < 20 else 0
    body = bytearray()
    more = True
    while True:
        if max(expected, len(body)) > largest:
            raise RequestTooLarge(f"The body of the request is larger than {largest} bytes.")
        part.grow(max(expected, len(body)))
        if not more:
            return bytes(body)
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)


def _check(scope: Scope, body: bytes, content: bool) -> None:
    if body:
        kind = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise NotJson(f"The body is {kind or 'of no type'}, and not JSON.")
        if not content:
            check_json(body)


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
    """Raises `InvalidInput` for what Python reads as JSON but nobody else does, or can't be stored."""
    try:
        document = json.loads(_text(body), parse_constant=_refuse, parse_float=_finite)
        if deeper_than(document, DEEPEST + _AROUND):
            raise RecursionError
        if b"\\u" in body:
            _refuse_halves(document)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidInput(f"The body is not JSON: {reason}.", hint="Send one JSON object in UTF-8.") from error


def _text(body: bytes) -> str:
    """The body as UTF-8 and nothing else: a reader that is less strict finds characters in it that can't be stored."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (at byte {error.start})") from None
    if "\0" in text:
        raise ValueError("it is not UTF-8: it holds bytes of zeros, as UTF-16 and UTF-32 do")
    return text


def _refuse_halves(document: Any) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half a character (an unpaired surrogate)") from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is larger than any number that can be stored")
    return number


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a value of JSON")
