"""How often something may be asked for, counted by a key, such as a name or a client's address."""

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from environments.domain.errors import TooManyRequests

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


def site_of(address: str) -> str:
    """One key for all addresses that one client can have: IPv6 by its first 64 bits. Other text stays as it is."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    if isinstance(found, IPv6Address):
        site = int(found) >> (128 - _SITE_BITS) << (128 - _SITE_BITS)
        return f"{IPv6Address(site)}/{_SITE_BITS}"
    return str(found)
