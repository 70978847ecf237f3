"""`consul.key`: a key of Consul was changed or deleted.

Each watched prefix is read by a blocking query, and compared with what was known of it, which is stored. So what was
changed while nobody watched is found, and also after Consul lost its index. Of several changes in between only the last
is told. A prefix is watched from the moment when the first trigger names it; what was there before is not told.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from environments.domain.environment import Environment
from environments.domain.errors import CalvinverseError, MachineError
from environments.domain.lifecycle import State
from environments.domain.names import kv_prefix
from environments.domain.received_event import NewReceivedEvent, Source
from environments.domain.trigger import Condition
from environments.engine.event_sources.parts import Deaf, SourceParts
from environments.engine.event_sources.rounds import Rounds
from environments.engine.event_sources.standing import (
    Standing,
    StandingTriggers,
    acts_for_admin,
    environments_of,
    living_named,
)
from environments.service.storage.deployments import newest_of
from environments.service.storage.transaction import Transaction
from environments.steps.source_ports import WatchedKey

MOST_QUERIES = 16
"""Queries that wait at the same time; with more prefixes each waits only as long as the others let it."""

_WAIT = 50.0
"""Seconds that a query waits when there are queries enough for all prefixes."""

_SHORT_WAIT = 1.0
"""Likewise when there aren't."""

_EVERY = 2.0
"""Seconds between two looks at which prefixes are to be watched."""

_PAUSE = 5.0
"""Seconds after a query that failed."""

_AFTER = timedelta(seconds=30)
"""How long after a deployment its jobs and modules may be what changes a key."""

_LONGEST = 400
"""Characters of a watched prefix: of a longer one the beginning is watched, which tells of more keys than it takes."""

_OURS = "environments/"
"""What the prefixes of environments begin with."""

log = structlog.get_logger()


class _Known(NamedTuple):
    """What is stored of a key: the index of its last change, a digest of its value, its flags."""

    change: int
    digest: str
    flags: int


class KeyEvents(Deaf):
    """One thread finds out what is to be watched; up to `MOST_QUERIES` others watch."""

    def __init__(self, parts: SourceParts) -> None:
        self._parts = parts
        self._standing = StandingTriggers(Source.KEY)
        self._lock = threading.Lock()
        self._prefixes: dict[str, int] = {}
        """Watched prefix → Consul's index of what was read last; 0: it has to be read at once."""
        self._busy: set[str] = set()
        self._due: dict[str, float] = {}
        """When a prefix is read next, by the monotonic clock, if not at once."""
        self._rounds = Rounds("consul.key", self._round, parts.leads, self._forget, least=0.2)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Starts the thread that finds out what is to be watched."""
        self._rounds.start()

    def stop(self) -> None:
        """Stops the threads. A query that waits isn't waited for: what it answers is dropped."""
        self._stopping.set()
        self._rounds.stop()

    def _forget(self) -> None:
        with self._lock:
            self._prefixes.clear()

    def _round(self) -> float:
        with self._parts.storage.read() as tx:
            wanted = watched_prefixes(tx, self._standing.of(tx), self._parts.clock())
            stored = tx.cursors.all(Source.KEY.value)
        if gone := [prefix for prefix in stored if prefix not in wanted]:
            with self._parts.storage.write() as tx:
                tx.cursors.remove(Source.KEY.value, gone)
        with self._lock:
            self._prefixes = {prefix: self._prefixes.get(prefix, 0) for prefix in wanted}
            self._due = {prefix: at for prefix, at in self._due.items() if prefix in wanted}
            missing = min(len(wanted), MOST_QUERIES) - len(self._threads)
        for _ in range(missing):
            thread = threading.Thread(target=self._watch, name="watch-keys", daemon=True)
            self._threads.append(thread)
            thread.start()
        return _EVERY

    def _watch(self) -> None:
        while not self._stopping.is_set():
            taken = self._take() if self._parts.leads() else None
            if taken is None:
                self._stopping.wait(0.2)
                continue
            prefix, index, wait = taken
            due = 0.0
            try:
                newest, found = self._parts.keys.below(prefix, index, wait)
                if self._stopping.is_set() or not self._parts.leads():
                    return
                if newest != index or not index:
                    self._compare(prefix, found)
            except CalvinverseError as error:
                newest, due = 0, time.monotonic() + _PAUSE
                if not isinstance(error, MachineError):
                    log.warning("source.failed", source=Source.KEY.value, prefix=prefix, reason=error.message)
            except Exception as error:  # the thread must not end: it watches other prefixes too
                newest, due = 0, time.monotonic() + _PAUSE
                log.error("source.fault", source=Source.KEY.value, prefix=prefix, exc_info=error)
            with self._lock:
                self._busy.discard(prefix)
                if prefix in self._prefixes:
                    self._prefixes[prefix] = newest
                    # A query that was answered at once is followed by another one after a moment.
                    self._due[prefix] = due or time.monotonic() + 0.2

    def _take(self) -> tuple[str, int, float] | None:
        """The prefix that has waited longest for its next query, with its index and how long the query may wait."""
        with self._lock:
            now = time.monotonic()
            free = [prefix for prefix in self._prefixes if prefix not in self._busy and self._due.get(prefix, 0) <= now]
            if not free:
                return None
            prefix = min(free, key=lambda one: (self._due.get(one, 0.0), one))
            self._busy.add(prefix)
            return prefix, self._prefixes[prefix], _WAIT if len(self._prefixes) <= MOST_QUERIES else _SHORT_WAIT

    def _compare(self, prefix: str, found: Mapping[str, WatchedKey]) -> None:
        """Receives what differs from what is known, and stores what is known from now on, in one transaction."""
        now = {key: _Known(one.index, one.digest, one.flags) for key, one in found.items()}
        with self._parts.storage.write() as tx:
            whose = _whose(tx, prefix)
            before = _stored(tx.cursors.get(Source.KEY.value, prefix), whose)
            if before == now:
                return
            new = [] if before is None else list(_differences(tx, before, now, found, self._parts.clock()))
            received = self._parts.receiving.receive_in(tx, new)
            tx.cursors.set(Source.KEY.value, prefix, json.dumps([whose, now], separators=(",", ":")))
        if any(fresh for _, fresh in received):
            self._parts.receiving.wake()


def watched_prefixes(tx: Transaction, standing: Sequence[Standing], now: datetime) -> set[str]:
    """What has to be watched for these triggers: the prefixes of their environments, and for admins any key."""
    prefixes: set[str] = set()
    living = environments_of(tx, standing)
    for one in standing:
        if "key" in one.trigger.when and acts_for_admin(tx, one, now):
            prefixes |= set(_named(one.trigger.when["key"]))
        else:
            prefixes |= {kv_prefix(living[id].name) for id in one.environments if id in living}
    return {prefix[:_LONGEST] for prefix in prefixes if prefix.strip("/")}


def _named(condition: Condition) -> Iterator[str]:
    """The prefixes of the keys that can meet a condition, as far as it is written out."""
    if condition.starts_with is not None:
        yield _until(condition.starts_with, "{{")
    elif condition.matches is not None:
        yield _until(_until(condition.matches, "*"), "{{")
    else:
        for value in [condition.equals] if condition.equals is not None else condition.any_of or ():
            yield _until(str(value), "{{")


def _until(text: str, mark: str) -> str:
    return text.partition(mark)[0]


def _whose(tx: Transaction, prefix: str) -> str:
    """The id of the environment whose keys have that prefix; "" if it is no prefix of a living environment."""
    environment = environment_of_key(tx, prefix)
    return "" if environment is None else environment.id


def environment_of_key(tx: Transaction, key: str) -> Environment | None:
    """The living environment below whose prefix a key is."""
    if not key.startswith(_OURS):
        return None
    name, slash, _ = key.removeprefix(_OURS).partition("/")
    return living_named(tx, name) if slash else None


def _stored(text: str | None, whose: str) -> dict[str, _Known] | None:
    """What was known of a prefix; None if nothing was, or if that was of an earlier environment of the name."""
    if text is None:
        return None
    of, known = json.loads(text)
    return {key: _Known(*one) for key, one in known.items()} if of == whose else None


def _differences(
    tx: Transaction,
    before: Mapping[str, _Known],
    now: Mapping[str, _Known],
    found: Mapping[str, WatchedKey],
    moment: datetime,
) -> Iterator[NewReceivedEvent]:
    for key, known in now.items():
        if key not in before or before[key].digest != known.digest:
            yield from _event(tx, key, "changed", known, found[key], moment)
    for key, known in before.items():
        if key not in now:
            yield from _event(tx, key, "deleted", known, None, moment)


def _event(
    tx: Transaction, key: str, kind: str, known: _Known, found: WatchedKey | None, moment: datetime
) -> Iterator[NewReceivedEvent]:
    """Nothing for the keys that steps write, and for those of an environment that is being destroyed or isn't there."""
    environment = environment_of_key(tx, key)
    if key.startswith(_OURS) and (environment is None or environment.state is State.DESTROYING or known.flags):
        return
    yield NewReceivedEvent(
        source=Source.KEY,
        kind=kind,
        origin="consul",
        delivery=f"{kind}/{hashlib.sha256(key.encode()).hexdigest()[:32]}/{known.change}/{known.digest}",
        subject=key,
        fields={"key": key, "index": known.change} | ({} if found is None else {"value": found.text}),
        environment_id=None if environment is None else environment.id,
        hops=0 if environment is None else _hops(tx, environment, moment),
    )


def _hops(tx: Transaction, environment: Environment, moment: datetime) -> int:
    """A key that is changed while a deployment runs, or right after it, was changed by what that deploys."""
    newest = newest_of(tx.deployments, environment.id)
    if newest is None or (newest.ended_at is not None and moment - newest.ended_at > _AFTER):
        return 0
    return newest.hops
