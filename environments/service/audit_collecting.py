"""Entries that stand for themselves: refusals, and uses of the local admin's token. A flood of them stays small.

The first of equal entries is written at once; those that follow within a minute become one more, with their number. A
caller who is refused for ever new things gets only so many entries a minute; the rest is counted by route and error.
Refusals of unknown callers are counted by address and minute.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from environments.service.storage.audit import AuditEntry

WINDOW = timedelta(minutes=1)
"""How long equal entries are counted together."""

EACH = 60
"""Different entries of one caller in a minute; further ones are told without what they were about."""

LOOKS_EVERY = timedelta(seconds=1)
"""How often it is looked whose minute is over."""

MOST_WAITING = 2000
"""Entries that wait to be written; further ones wait until there is room."""

MOST_ADDRESSES = 1000
"""Addresses of unknown callers, and names that they wanted, in a minute; further ones are counted together."""

MOST_CALLERS = 5000
"""The same for callers and what they are refused."""

OTHERS = "others"

UNKNOWN = "request:unknown"
"""The action of requests without a valid token."""

_Key = tuple[str, ...]


@dataclass
class _Counted:
    entry: AuditEntry
    until: datetime
    count: int = 0
    """How many of them aren't written yet."""


class AuditCollector:
    """Collects entries from any thread. One thread takes them and writes them."""

    def __init__(self, clock: Callable[[], datetime], *, most_waiting: int = MOST_WAITING) -> None:
        self._clock = clock
        self._most_waiting = most_waiting
        self._guard = threading.Condition()
        self._waiting: deque[AuditEntry] = deque()
        self._counted: dict[_Key, _Counted] = {}
        self._each: Counter[tuple[str, str]] = Counter()
        self._each_since: datetime | None = None
        self._unknown: dict[_Key, _Counted] = {}
        self._looked_at: datetime | None = None

    def note(self, entry: AuditEntry) -> bool:
        """Takes an entry; False if too many wait to be written, and it has to be offered again."""
        now = self._clock()
        with self._guard:
            key = _key(entry)
            known = self._counted.get(key)
            if known is not None and now < known.until:
                known.count += 1
                return True
            if len(self._waiting) >= self._most_waiting:
                return False
            caller = (entry.actor, entry.token_id)
            if self._each_since is None or now - self._each_since >= WINDOW:
                self._each, self._each_since = Counter(), now
            self._each[caller] += 1
            if self._each[caller] > EACH or len(self._counted) >= MOST_CALLERS:
                self._count_in_brief(entry, now, named=len(self._counted) < MOST_CALLERS)
                return True
            if known is not None:  # its minute is over, and its number isn't written yet
                self._put_aside(known)
            self._begin(key, entry, now)
            return True

    def note_unknown(self, address: str, request: str, code: str, *, action: str = UNKNOWN, name: str = "") -> None:
        """Counts a refusal of a caller who isn't known, by address, action, and the user name that they wanted."""
        now = self._clock()
        with self._guard:
            known = self._unknown.get((address, action, name))
            if known is None and len(self._unknown) >= MOST_ADDRESSES:
                address, request, code, name = OTHERS, "", "", ""
                known = self._unknown.get((address, action, name))
            if known is None:
                entry = AuditEntry(
                    action,
                    "",
                    actor_kind="unknown",
                    address=address,
                    request=request,
                    object_kind="person" if name else "",
                    object_id=name,
                    object_name=name,
                    outcome="refused",
                    code=code,
                    reason="no valid token" if action == UNKNOWN else "",
                    at=now,
                )
                known = self._unknown[address, action, name] = _Counted(entry, now + WINDOW)
            known.count += 1

    def note_waiting(self, entry: AuditEntry, seconds: float) -> bool:
        """Takes an entry, and waits for room if there is none. False if there was none in that time either."""
        if self.note(entry):
            return True
        self.wait_for_room(seconds)
        return self.note(entry)

    def take(self, *, all: bool = False) -> Sequence[AuditEntry]:
        """What is to be written now; with `all` also what is still counted."""
        now = self._clock()
        with self._guard:
            taken = list(self._waiting)
            self._waiting.clear()
            if all or self._looked_at is None or now - self._looked_at >= LOOKS_EVERY:
                self._looked_at = now
                taken += _over(self._counted, now, all=all) + _over(self._unknown, now, all=all)
            self._guard.notify_all()
        return taken

    def put_back(self, entries: Sequence[AuditEntry]) -> None:
        """Returns entries that couldn't be written."""
        with self._guard:
            self._waiting.extendleft(reversed(entries))

    def wait(self, seconds: float) -> None:
        """Waits for an entry to write, at most so long."""
        with self._guard:
            if not self._waiting:
                self._guard.wait(seconds)

    def wait_for_room(self, seconds: float) -> None:
        """Waits until an entry can be taken, at most so long."""
        with self._guard:
            if len(self._waiting) >= self._most_waiting:
                self._guard.wait(seconds)

    def wake(self) -> None:
        """Ends the waiting of the thread that writes."""
        with self._guard:
            self._guard.notify_all()

    def _begin(self, key: _Key, entry: AuditEntry, now: datetime) -> None:
        entry = replace(entry, at=entry.at or now)
        self._counted[key] = _Counted(entry, now + WINDOW)
        self._waiting.append(entry)
        self._guard.notify_all()

    def _count_in_brief(self, entry: AuditEntry, now: datetime, *, named: bool) -> None:
        brief = replace(entry, object_id="", object_name="", template="", reason="many different ones", at=now)
        if not named:
            brief = replace(brief, actor=OTHERS, token_id="", address="", request="", code="")
        key = _key(brief)
        known = self._counted.get(key)
        if known is None:
            known = self._counted[key] = _Counted(brief, now + WINDOW)
        known.count += 1

    def _put_aside(self, counted: _Counted) -> None:
        self._waiting.extend(_told(counted))


def _key(entry: AuditEntry) -> _Key:
    return (
        entry.action,
        entry.actor,
        entry.token_id,
        entry.address,
        entry.request,
        entry.object_kind,
        entry.object_id,
        entry.object_name,
        entry.outcome,
        entry.code,
    )


def _over(counted: dict[Any, _Counted], now: datetime, *, all: bool) -> list[AuditEntry]:
    """Takes out what isn't counted any longer."""
    over = [key for key, one in counted.items() if all or now >= one.until]
    return [entry for key in over for entry in _told(counted.pop(key))]


def _told(counted: _Counted) -> list[AuditEntry]:
    return [replace(counted.entry, count=counted.count)] if counted.count else []
