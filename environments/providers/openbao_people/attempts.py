"""Limits on wrong passwords, by address and by user name.

Somebody who knows a name must not be able to lock its person out. So an address from which the person has signed in is
counted by itself, and only what comes from other addresses shares one limit. All of it together stays below the
number of failures at which OpenBao locks a user (`openbao-people-login.json`).
"""

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from environments.domain.errors import TooManyRequests

WINDOW_SECONDS = 900.0
EACH_ADDRESS = 30
STRANGERS_EACH_USER = 20
EACH_KNOWN_ADDRESS = 20
KNOWN_ADDRESSES = 3
"""Of each user: the last ones from which a right password came."""

_REMEMBERED = 20_000
"""Names and addresses that are remembered."""


class Attempts:
    """Counts failed attempts; forgets all of it when the process ends."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failed: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()
        self._known: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()

    def check(self, user: str, address: str) -> None:
        """Raises `TooManyRequests`, with the seconds to wait in `retry_after`."""
        with self._lock:
            now = self._clock()
            waits = [self._wait(key, most, now) for key, most in self._keys(user, _site(address))]
        if (wait := max(waits)) > 0:
            raise TooManyRequests(
                "Too many wrong passwords.",
                hint=f"Try again in {math.ceil(wait / 60)} min.",
                details={"retry_after": math.ceil(wait)},
            )

    def failed(self, user: str, address: str) -> None:
        """Counts a wrong password, or a name that nobody has."""
        with self._lock:
            now = self._clock()
            for key, most in self._keys(user, _site(address)):
                seen = self._failed.setdefault(key, deque(maxlen=most))
                seen.append(now)
                self._failed.move_to_end(key)
            while len(self._failed) > _REMEMBERED:
                self._failed.popitem(last=False)

    def succeeded(self, user: str, address: str) -> None:
        """Notes an address from which the right password came."""
        with self._lock:
            known = self._known.setdefault(user, OrderedDict())
            self._known.move_to_end(user)
            known[_site(address)] = None
            known.move_to_end(_site(address))
            if len(known) > KNOWN_ADDRESSES:
                known.popitem(last=False)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def _keys(self, user: str, site: str) -> list[tuple[tuple[str, str], int]]:
        if site in self._known.get(user, ()):
            return [((user, site), EACH_KNOWN_ADDRESS)]
        return [((user, ""), STRANGERS_EACH_USER), (("", site), EACH_ADDRESS)]

    def _wait(self, key: tuple[str, str], most: int, now: float) -> float:
        seen = self._failed.get(key, ())
        recent = [at for at in seen if now - at < WINDOW_SECONDS]
        return recent[-most] + WINDOW_SECONDS - now if len(recent) >= most else 0.0


def _site(address: str) -> str:
    """One key for all addresses that one client can have: of IPv6 the first 64 bits."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(IPv6Address(int(found) >> 64 << 64))
    return str(found)
