"""A request for a page: what was sent, bounded in size and time; and where it may go on to."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from environments.domain.errors import InvalidInput, RequestTooLarge, RequestTooSlow
from environments.service.authorization import Principal

LARGEST_FORM = 16 * 1024
"""Bytes of a form, and of a query."""

LONGEST = 20.0
"""Seconds that a form may take to arrive."""

_MOST_FIELDS = 50
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Visit:
    """One request for a page. `origin` is that of our pages, as the browser sees it, without a slash at the end.

    `principal` is who is signed in, by the session whose secret is `secret`; `query` and `form` have each name once.
    """

    method: str
    path: str
    raw_query: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    cookies: Mapping[str, str]
    headers: Headers
    address: str
    origin: str
    principal: Principal | None = None
    secret: str = ""

    @property
    def host(self) -> str:
        """The host and port that the browser asked."""
        return self.headers.get("host", "")


def own_origin(scope: Scope, external: str) -> str:
    """The origin of our pages: that of the external address if there is one, else what this browser asked."""
    if external:
        parts = urlsplit(external)
        return f"{parts.scheme}://{parts.netloc}"
    return f"{scope.get('scheme', 'http')}://{Headers(scope=scope).get('host', '')}"


def is_secure(origin: str) -> bool:
    """Whether browsers keep our cookies at this origin: with TLS, and on loopback also without."""
    parts = urlsplit(origin)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's loopback."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def fields(text: str) -> dict[str, str]:
    """The fields of a query or a form. Raises `InvalidInput` for too many, one that comes twice, and bad characters."""
    if len(text) > LARGEST_FORM:
        raise InvalidInput("The address of this page is too long.")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise InvalidInput("What was sent to this page can't be read.") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidInput("Something was sent to this page twice, and only one of it can count.")
    if any("\0" in text for pair in pairs for text in pair):
        raise InvalidInput("What was sent to this page holds a character that no text has.")
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


async def read_form(headers: Headers, receive: Receive) -> dict[str, str]:
    """The fields of a form. Raises `InvalidInput`, `RequestTooLarge`, `RequestTooSlow`."""
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
                if len(body) > LARGEST_FORM:
                    raise RequestTooLarge("What was sent to this page is too large.")
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise RequestTooSlow("What was sent to this page didn't come in time.") from None
    try:
        return fields(body.decode())
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
