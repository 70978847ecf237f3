"""Detects which ready environments are degraded, and why, from the events of the cluster.

It sends no queries: it compares the events with the inventory. A trouble is reported when it has lasted for its grace
period, and ends when it has been absent for a moment, so that what Nomad repairs by itself is not reported.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

import structlog

from environments.domain.environment import DegradedReason, EventType
from environments.domain.errors import CalvinverseError
from environments.domain.lifecycle import State
from environments.engine.degraded_texts import MOST, Texts
from environments.engine.environment_troubles import forgotten, troubles_of
from environments.engine.known_cluster import KnownCluster
from environments.service.storage.environments import Watched
from environments.service.storage.transaction import Storage
from environments.steps.base import Owner
from environments.steps.cluster_events import Check, Happening, Listing
from environments.steps.job_health import Trouble
from environments.steps.secret_words import Words

BETWEEN = 5.0
"""Seconds at least between two events of one environment."""

_ROUNDS = 1.0
"""Seconds at least between two rounds; a round handles all that happened since the last one."""

_OVER, _LONGEST_OVER = 2.0, 300.0
"""Seconds for which a trouble must be absent; doubled, up to the longest, each time that it recurs."""

_AGAIN = 600.0
"""An environment that is degraded again within this many seconds is flapping."""

_MARGIN = timedelta(minutes=1)
"""How much the clocks of processes that change environments may differ."""

_NEVER = 3600.0
Key = tuple[str, str]

log = structlog.get_logger()


class _Known:
    """The state of one environment. Times are of the monotonic clock."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.seen: dict[Key, float] = {}
        """Trouble → since when it exists."""
        self.missed: dict[Key, float] = {}
        """Reported trouble → since when it is absent."""
        self.written = 0.0
        self.over = _OVER
        self.recovered = -_AGAIN


class DegradationDetector:
    """Subscribes to `ClusterFollower`. Its thread wakes only after an event, or when a grace period ends."""

    def __init__(
        self,
        storage: Storage,
        kind: str,
        words: Words,
        clock: Callable[[], datetime],
        want: Callable[[Collection[str]], bool],
    ) -> None:
        """`kind`: the kind of resources that are jobs. `words` gives the secrets of an environment.

        `want` is `ClusterFollower.want`.
        """
        self._storage = storage
        self._kind = kind
        self._texts = Texts(words)
        self._clock = clock
        self._want = want
        self._changed = threading.Condition()
        self._world = KnownCluster()
        self._told_of: frozenset[str] | None = None
        """Namespaces that the stream covers; None: there is no stream."""
        self._touched: set[str] = set()
        self._moved = True
        """Whether environments may have changed since they were read."""
        self._all_anew = True
        """Whether all environments are to be read and compared again, not only those that have changed."""
        self._stopped = False
        self._environments: dict[str, _Known] = {}
        self._read_at: datetime | None = None
        self._due: dict[str, float] = {}
        self._newest = 0
        self._thread = threading.Thread(target=self._run, name="degrading", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(timeout=5)

    # --- Called by other threads ---

    def jobs_listed(self, listing: Listing, namespaces: frozenset[str]) -> None:
        """Replaces the known state of all jobs; `namespaces`: those that the stream covers."""
        with self._changed:
            self._world.list_jobs(listing)
            self._told_of = namespaces
            self._all_anew = True
            self._changed.notify_all()

    def jobs_changed(self, happenings: Sequence[Happening]) -> None:
        """Adds events that followed the listing."""
        with self._changed:
            self._touch(self._world.take(happenings))

    def checks_listed(self, critical: Sequence[Check]) -> None:
        """Replaces the known critical checks."""
        with self._changed:
            self._touch(self._world.list_checks(critical))

    def lost(self) -> None:
        """Another process leads, so the known state is no longer up to date."""
        with self._changed:
            self._told_of = None

    def published(self, event_id: int) -> None:
        """A commit wrote events up to that id; 0: none. Environments may have changed."""
        with self._changed:
            if event_id > self._newest:
                self._newest, self._moved = event_id, True
                if self._told_of is not None:
                    self._changed.notify_all()

    def _touch(self, names: set[str]) -> None:
        if names := names & self._environments.keys():
            self._touched |= names
            self._changed.notify_all()

    # --- Run by its own thread ---

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work, timeout=self._until_due())
                if self._stopped:
                    return
            began = time.monotonic()
            try:
                self._round()
            except CalvinverseError as error:
                log.warning("degrading.failed", reason=error.message)
                self._again_later()
            except Exception as error:  # the thread must not end: later troubles would not be noticed
                log.error("degrading.fault", exc_info=error)
                self._again_later()
            with self._changed:
                left = began + _ROUNDS - time.monotonic()
                self._changed.wait_for(lambda: self._stopped, timeout=max(0.0, left))

    def _has_work(self) -> bool:
        waits = self._all_anew or self._moved or bool(self._touched)
        return self._stopped or (self._told_of is not None and waits)

    def _until_due(self) -> float:
        if self._told_of is None:
            return _NEVER
        return max(0.0, min(self._due.values(), default=time.monotonic() + _NEVER) - time.monotonic())

    def _again_later(self) -> None:
        with self._changed:
            self._all_anew = True

    def _round(self) -> None:
        with self._changed:
            if self._told_of is None:
                return
            # Taken before anything is read: what is set while this reads counts for the next round.
            moved, self._moved = self._moved, False
            all_anew, self._all_anew = self._all_anew, False
            touched, self._touched = self._touched, set()
        if moved or all_anew:
            touched |= self._read(all_anew=all_anew)
        now = time.monotonic()
        touched |= {name for name, due in self._due.items() if due <= now}
        for name in sorted(touched):
            self._due.pop(name, None)
            if (known := self._environments.get(name)) is not None:
                self._compare(known)

    def _read(self, *, all_anew: bool) -> set[str]:
        """Reads environments that have changed, or all; returns the names of those to compare."""
        now, since = self._clock(), None if all_anew else self._read_at
        with self._storage.read() as tx:
            found = tx.environments.watched(self._kind, since=None if since is None else since - _MARGIN)
        before = self._environments
        environments = {} if since is None else dict(before)
        touched = set()
        for watched in found:
            known = before.get(watched.name)
            if watched.state is not State.READY:
                if known is not None and known.watched.id == watched.id:
                    environments.pop(watched.name, None)
                continue
            if known is None or known.watched[:4] != watched[:4]:
                environments[watched.name] = _Known(watched)
                touched.add(watched.name)
            else:
                known.watched = watched
                environments[watched.name] = known
                touched |= {watched.name} if since is None else set()
        self._read_at = now
        with self._changed:
            self._environments = environments
        return touched

    def _compare(self, known: _Known) -> None:
        """Compares an environment's reported troubles with the existing ones, and records those that have lasted."""
        watched, now = known.watched, time.monotonic()
        if not self._hears_of(watched):
            self._due[watched.name] = now + _ROUNDS
            return
        with self._changed:
            troubles = {
                (one.kind, one.address): (one, step)
                for one, step in troubles_of(self._world, self._kind, watched, self._clock())
            }
            stay = set(forgotten(self._world, self._kind, watched))
        told = {(one.kind, one.address): one for one in watched.degraded if one.kind}
        known.seen = {key: known.seen.get(key, now) for key in troubles}
        known.missed = {key: known.missed.get(key, now) for key in told if key not in troubles.keys() | stay}
        begins = {key: known.seen[key] + one.grace for key, (one, _) in troubles.items() if key not in told}
        ends = {key: since + known.over for key, since in known.missed.items()}
        shown = [key for key in told if ends.get(key, now + 1) > now]
        shown += sorted(
            (key for key, moment in begins.items() if moment <= now), key=lambda key: (known.seen[key], key)
        )
        reasons = self._reasons(watched, shown, troubles, told)
        due = [*begins.values(), *ends.values()]
        if reasons != watched.degraded:
            due.append(known.written + BETWEEN)
            if now >= known.written + BETWEEN:
                known.written = now
                self._write(known, reasons)
        wall = self._clock().timestamp()
        due += [now + max(0.1, one.until / 1e9 - wall) for one, _ in troubles.values() if one.until]
        if waits := [moment for moment in due if moment > now]:
            self._due[watched.name] = min(waits)

    def _hears_of(self, watched: Watched) -> bool:
        """Whether the stream covers the environment's namespace; if not, asks for a stream that does."""
        with self._changed:
            if self._told_of is None or not watched.made or watched.name in self._told_of:
                return self._told_of is not None
        return self._want([watched.name])

    def _reasons(
        self,
        watched: Watched,
        shown: Sequence[Key],
        troubles: dict[Key, tuple[Trouble, str | None]],
        told: dict[Key, DegradedReason],
    ) -> tuple[DegradedReason, ...]:
        owner, now = Owner(watched.id, watched.name), self._clock()
        reasons = [
            self._texts.reason(owner, *troubles[key], now, told.get(key)) if key in troubles else told[key]
            for key in shown[:MOST]
        ]
        return (*reasons, *self._texts.more(reasons, len(shown)))

    def _pace(self, known: _Known, reasons: tuple[DegradedReason, ...]) -> None:
        """Reports troubles that come and go at growing intervals."""
        now = time.monotonic()
        if not reasons:
            known.recovered = now
        elif not known.watched.degraded:
            again = now - known.recovered < _AGAIN
            known.over = min(known.over * 2, _LONGEST_OVER) if again else _OVER

    def _write(self, known: _Known, reasons: tuple[DegradedReason, ...]) -> None:
        watched = known.watched
        with self._storage.write() as tx:
            found = tx.environments.get(watched.id)
            if found is None or found.state is not State.READY or found.state_since != watched.state_since:
                return  # it has changed meanwhile, so the comparison is out of date
            tx.environments.change(watched.id, degraded=reasons)
            before, after = ({(one.kind, one.address) for one in some} for some in (found.degraded, reasons))
            if before != after:
                event = EventType.ENVIRONMENT_DEGRADED if reasons else EventType.ENVIRONMENT_RECOVERED
                data = {"reasons": [one.model_dump(mode="json") for one in reasons]}
                message = self._texts.message(watched.name, reasons)
                tx.events.add(event, watched.id, self._clock(), message=message, data=data)
        self._pace(known, reasons)
        known.watched = watched._replace(degraded=reasons)
        log.info("environment.degraded" if reasons else "environment.recovered", environment=watched.name)
