"""Who asks: the address of the client, which the edge tells the service with each request.

Anybody can send such headers, and jobs share loopback with the edge. So they count only beside the secret that the edge
and the service have alone; else they are dropped, and the client is who is connected.
"""

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

ADDRESS = b"calvinverse-client"
SECRET = b"calvinverse-edge"
_DROPPED = (b"calvinverse-", b"x-forwarded", b"forwarded", b"x-real-ip")
"""Beginnings of header names that nobody may send through: nothing behind this middleware sees them."""

_TOLD_EACH = 60.0
"""Seconds between two log lines of the same client."""

_TOLD = 1000
"""Clients that are remembered for that."""

log = structlog.get_logger()


PAGE_LABEL = b"calvinverse: what the web page passes on"
"""Derives what the edge gives to the web page in place of the secret; `jobs/meta/edge.nomad.hcl` has it too.

The secret can't be found from it, nor what else is derived from that: the page can't ask for what the edge may.
"""


class EdgeSecret:
    """The secret in a file; it may change while the service runs."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._known: tuple[bytes, ...] = ()

    def matches(self, given: bytes) -> bool:
        """Whether `given` is the secret, or what the web page has of it. Without a secret, nothing is."""
        if self._file is None or not given:
            return False
        if self._is_known(given):
            return True
        secret = self.current()
        self._known = (secret, passed_on(secret)) if secret else ()
        return self._is_known(given)

    def _is_known(self, given: bytes) -> bool:
        return any(hmac.compare_digest(given, known) for known in self._known)

    def current(self) -> bytes:
        """The secret as it is in the file; empty without one."""
        try:
            return b"" if self._file is None else self._file.read_bytes().strip()
        except OSError:
            return b""


def passed_on(secret: bytes) -> bytes:
    """What the web page gets in place of the secret, and passes on."""
    return hmac.new(secret, PAGE_LABEL, sha256).hexdigest().encode()


class Clients:
    """Middleware that sets `client` of the scope to the address that the edge tells; the port is 0 then.

    `state["from_edge"]` says whether the edge told it.
    """

    def __init__(self, app: ASGIApp, secret: EdgeSecret) -> None:
        self._app = app
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = scope["headers"]
            secrets = [value for name, value in headers if name.lower() == SECRET]
            addresses = [value for name, value in headers if name.lower() == ADDRESS]
            scope["headers"] = [pair for pair in headers if not pair[0].lower().startswith(_DROPPED)]
            told = len(secrets) == len(addresses) == 1 and self._secret.matches(secrets[0])
            address = _address(addresses[0]) if told else None
            if address is not None:
                scope["client"] = (address, 0)
            scope.setdefault("state", {})["from_edge"] = address is not None
        await self._app(scope, receive, send)


def client_of(scope: Scope) -> str:
    """The address of the client of a request; empty if it isn't known."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def beyond(scope: Scope) -> str:
    """The same for a client that the edge told of, else empty: others share addresses of loopback."""
    return client_of(scope) if scope.get("state", {}).get("from_edge") else ""


class Refusals:
    """Logs who shows tokens that aren't good: a line a minute for each client, with their number since the last one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def note(self, client: str) -> None:
        """Counts a token of a client, and logs if it is time to."""
        now = self._clock()
        since, count = self._seen.get(client, (now - _TOLD_EACH, 0))
        count += 1
        if now - since >= _TOLD_EACH:
            log.warning("token.refused", client=client, count=count)
            since, count = now, 0
        self._seen[client] = since, count
        self._seen.move_to_end(client)
        if len(self._seen) > _TOLD:
            self._seen.popitem(last=False)


def _address(value: bytes) -> str | None:
    try:
        return str(ip_address(value.decode("ascii")))
    except ValueError:
        return None
