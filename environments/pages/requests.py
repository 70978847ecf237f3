"""What a browser sends with a request for a page, bounded in size and time; and where it may go on to."""

import asyncio
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from environments.addresses import is_loopback
from environments.domain.errors import InvalidInput, RequestTooLarge, RequestTooSlow

LARGEST_FORM = 16 * 1024
"""Bytes of a form, and of a query."""

LONGEST = 20.0
"""Seconds that a form may take to arrive."""

SESSION_COOKIE = "__Host-calvinverse"
"""Holds the token of the session; the pages for signing in set it. `__Host-`: browsers take it from this host alone,
with TLS, for all paths."""

_MOST_FIELDS = 50
_MOST_DIGITS = 18
_FORM = "application/x-www-form-urlencoded"


def own_origin(scope: Scope, external: str) -> str:
    """The origin of our pages: that of the external address if there is one, else what this browser asked."""
    if external:
        parts = urlsplit(external)
        return f"{parts.scheme}://{parts.netloc}"
    return f"{scope.get('scheme', 'http')}://{Headers(scope=scope).get('host', '')}"


def is_secure(origin: str) -> bool:
    """Whether browsers keep our cookies at this origin: with TLS, and on loopback also without."""
    parts = urlsplit(origin)
    return parts.scheme == "https" or is_loopback(origin)


def pairs(text: str, largest: int = LARGEST_FORM, most: int = _MOST_FIELDS) -> list[tuple[str, str]]:
    """Names and values of a query or a form, in their order. Raises `InvalidInput` for too many and bad characters."""
    if len(text) > largest:
        raise InvalidInput("The address of this page is too long.")
    try:
        found = parse_qsl(text, keep_blank_values=True, max_num_fields=most, errors="strict")
    except ValueError:
        raise InvalidInput("What was sent to this page can't be read.") from None
    if any("\0" in text for pair in found for text in pair):
        raise InvalidInput("What was sent to this page holds a character that no text has.")
    return found


def whole_number(text: str) -> int | None:
    """A number from 0 on that databases can store; None for any other text. (`²` is a digit, too, and no number.)"""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def fields(text: str) -> dict[str, str]:
    """The fields of a query or a form. Raises `InvalidInput` as `pairs` does, and for one that comes twice."""
    given = pairs(text)
    found = dict(given)
    if len(found) != len(given):
        raise InvalidInput("Something was sent to this page twice, and only one of it can count.")
    return found


def cookies(headers: Headers) -> dict[str, str]:
    """The cookies of a request by name; none if they can't be read."""
    found: dict[str, str] = {}
    for line in headers.getlist("cookie"):
        for part in line.split(";"):
            name, equals, value = part.strip().partition("=")
            if equals and name not in found:
                found[name] = value
    return found


def set_cookie(name: str, value: str, seconds: int) -> str:
    """A `Set-Cookie` header with the rules that all of our cookies have; 0 seconds remove the cookie.

    Raises `InvalidInput` for a value that isn't one.
    """
    jar: SimpleCookie = SimpleCookie()
    try:
        jar[name] = value
    except CookieError:
        raise InvalidInput("This can't be kept in a cookie.") from None
    for attribute, said in {"path": "/", "max-age": str(seconds), "samesite": "Lax"}.items():
        jar[name][attribute] = said
    jar[name]["secure"] = jar[name]["httponly"] = True
    return jar[name].OutputString()


async def read_form(headers: Headers, receive: Receive, largest: int = LARGEST_FORM) -> str:
    """A form as it was sent, not yet taken apart. Raises `InvalidInput`, `RequestTooLarge`, `RequestTooSlow`."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise InvalidInput("This page takes forms only.")
    body = bytearray()
    try:
        async with asyncio.timeout(LONGEST):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestTooSlow("The browser has gone.")
                body += message.get("body", b"")
                if len(body) > largest:
                    raise RequestTooLarge("What was sent to this page is too large.")
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise RequestTooSlow("What was sent to this page didn't come in time.") from None
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise InvalidInput("What was sent to this page can't be read.") from None


def own_path(wanted: str, default: str = "/") -> str:
    """A path of ours to go back to, with its query; `default` for anything that a browser could take for another site.

    Browsers read `//host`, `/\\host` and a scheme as another site, and drop tabs and line breaks before they look.
    """
    if not wanted.startswith("/") or wanted.startswith("//") or len(wanted) > 1000:
        return default
    if "\\" in wanted or any(ord(character) <= 32 or ord(character) >= 127 for character in wanted):
        return default
    parts = urlsplit(wanted)
    return default if parts.scheme or parts.netloc else wanted
