"""Limits on how often something may be asked for: by a key, such as a principal or a client's address.

By address only what nobody has signed in for: a whole office may share one. What a known caller asks for is counted
by the caller's name. `Rate` counts; `by_address` and `by_principal` make dependencies of routes from it.
"""

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

from fastapi import Request
from starlette.types import Scope

from environments.api.clients import beyond, client_of
from environments.domain.errors import TooManyRequests, Unauthenticated

WINDOW_SECONDS = 60.0

REMEMBERED = 300_000
"""Moments that one `Rate` remembers, of all keys together: about 10 MB. Beyond that it forgets the idlest keys."""

_SITE_BITS = 64
"""Of an IPv6 address: one customer gets at least all addresses that share these."""


class Rate:
    """Counts by key within a sliding window, and refuses what is beyond `most`. What is refused doesn't count.

    `what` completes the sentence "Too many … in a minute"; without `hint` the error says how long to wait. May be used
    by several threads.
    """

    def __init__(
        self,
        most: int,
        what: str,
        *,
        hint: str = "",
        seconds: float = WINDOW_SECONDS,
        remembered: int = REMEMBERED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._what = what
        self._hint = hint
        self._seconds = seconds
        self._remembered = remembered
        self._clock = clock
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()
        self._moments = 0
        self._lock = threading.Lock()

    def count(self, key: str) -> None:
        """Counts one more for the key. Raises `TooManyRequests`, with the seconds to wait in `retry_after`."""
        with self._lock:
            now = self._clock()
            seen = self._current(key, now)
            self._check(seen, now)
            self._add(key, seen, now)

    def note(self, key: str) -> None:
        """Counts one more for the key if there is room, and never refuses: `check` does."""
        with self._lock:
            now = self._clock()
            seen = self._current(key, now)
            if len(seen) < self._most:
                self._add(key, seen, now)

    def check(self, key: str) -> None:
        """Raises `TooManyRequests` if `count` would, and counts nothing: for what counts only when it has failed."""
        with self._lock:
            now = self._clock()
            self._check(self._current(key, now), now)

    def _current(self, key: str, now: float) -> deque[float]:
        """The moments of the key within the window; an empty one isn't kept."""
        seen = self._seen.get(key)
        if seen is None:
            return deque()
        while seen and now - seen[0] >= self._seconds:
            seen.popleft()
            self._moments -= 1
        if not seen:
            del self._seen[key]
        return seen

    def _add(self, key: str, seen: deque[float], now: float) -> None:
        self._seen.setdefault(key, seen).append(now)
        self._seen.move_to_end(key)
        self._moments += 1
        while self._moments > self._remembered and len(self._seen) > 1:
            self._moments -= len(self._seen.popitem(last=False)[1])

    def _check(self, seen: deque[float], now: float) -> None:
        if len(seen) >= self._most:
            after = max(1, math.ceil(seen[-self._most] + self._seconds - now))
            raise TooManyRequests(
                f"Too many {self._what} in a minute: at most {self._most}.",
                hint=self._hint or f"Send the request again in {after} second{'s' if after > 1 else ''}.",
                details={"retry_after": after, "each_minute": self._most},
            )


def address_key(scope: Scope) -> str:
    """The client's address as one key for all that one client can have: IPv6 by its first 64 bits."""
    address = _address(scope)
    if address is None:
        return client_of(scope)
    if isinstance(address, IPv6Address):
        site = int(address) >> (128 - _SITE_BITS) << (128 - _SITE_BITS)
        return f"{IPv6Address(site)}/{_SITE_BITS}"
    return str(address)


def apart(scope: Scope) -> str:
    """The same for a client with an address of its own; empty for one on loopback that the edge didn't tell of.

    The service's machine runs many programs, jobs too, that share loopback: one could take what is for all of them.
    """
    address = _address(scope)
    shared = address is not None and address.is_loopback and not beyond(scope)
    return "" if shared else address_key(scope)


def _address(scope: Scope) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(client_of(scope))
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def by_address(rate: Rate) -> Callable[[Request], Awaitable[None]]:
    """A dependency that counts each request of a route, by the client's address."""

    async def counted(request: Request) -> None:
        rate.count(address_key(request.scope))

    return counted


def by_principal(rate: Rate) -> Callable[[Request], Awaitable[None]]:
    """A dependency that counts each request of a route, by the name of the signed-in caller."""

    async def counted(request: Request) -> None:
        principal = request.scope["state"].get("principal")
        if principal is None:
            raise Unauthenticated("There is no token in the request.")
        rate.count(principal.owner)

    return counted
