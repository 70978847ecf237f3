"""The one stream of what happens in the cluster, for whoever in this process wants to know: who listens polls nothing.

Of several processes only the one that is the clock follows it. A stream begins with a listing of everything, so nothing
that happened between two of them is missed: after a cut, after an agent's restart, and every `LONGEST` seconds, which
also brings a fresh token. What the stream can't tell (Nomad tells nothing of namespaces that are newer than the stream)
makes it be opened anew, no more often than costs little.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import structlog

from environments.domain.errors import CalvinverseError, MachineError
from environments.steps.cluster_events import Check, CheckFeed, Happening, JobFeed, JobStream, Listing

LONGEST = 600.0
"""Seconds that one stream is followed: a token of the service is good for twice that at least."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0
"""Seconds before a part that is away is asked again: doubled from the first to the longest."""

_WITHOUT = 2.0
"""Seconds after which a process that doesn't lead, or knows of no cluster, looks whether that has changed."""

_SHARE = 20
"""A new stream for the sake of new namespaces waits so many times as long as the last listing took."""

_LEAST = 1.0
"""Seconds between two streams for that sake, and between two questions to Consul, however much happens there."""

_WAIT = 55.0
"""Seconds that one question to Consul waits for a change."""

log = structlog.get_logger()


class Subscriber(Protocol):
    """Hears of everything. Called by the threads of the stream, so each call returns at once."""

    def jobs_listed(self, listing: Listing, namespaces: frozenset[str]) -> None:
        """How all jobs are, in place of what was known; `namespaces`: of which it hears from now on."""
        ...

    def jobs_changed(self, happenings: Sequence[Happening]) -> None:
        """What has happened since."""
        ...

    def checks_listed(self, critical: Sequence[Check]) -> None:
        """All critical checks, in place of those known."""
        ...

    def lost(self) -> None:
        """Another process leads: what was known is no longer kept up to date."""
        ...


class World:
    """Two threads: one follows Nomad, the other asks Consul. `leads` says whether this process is to do that."""

    def __init__(self, jobs: JobFeed, checks: CheckFeed, leads: Callable[[], bool]) -> None:
        self._jobs = jobs
        self._checks = checks
        self._leads = leads
        self._subscribers: list[Subscriber] = []
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._stream: JobStream | None = None
        self._asked_for: frozenset[str] = frozenset()
        self._absent: frozenset[str] = frozenset()
        self._not_before = 0.0
        self._threads = [
            threading.Thread(target=self._run, args=("nomad", self._follow_jobs), name="world-nomad", daemon=True),
            threading.Thread(target=self._run, args=("consul", self._follow_checks), name="world-consul", daemon=True),
        ]

    def subscribe(self, subscriber: Subscriber) -> None:
        """Before `start`."""
        self._subscribers.append(subscriber)

    def start(self) -> None:
        """Begins."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends; a question to Consul that waits for an answer changes nothing, and isn't waited for."""
        self._stopping.set()
        self._end_stream()
        self._threads[0].join(timeout=2)

    def want(self, namespaces: Collection[str]) -> bool:
        """Whether these are told of; if not, a stream that does is opened as soon as may be: ask again then.

        A namespace that wasn't there when the stream was opened anew for it counts as told of: there is nothing in it.
        """
        with self._lock:
            stream, now = self._stream, time.monotonic()
            missing = set(namespaces) - self._absent
            if stream is not None:
                missing -= stream.namespaces
            if not missing:
                return True
            if stream is not None and now >= self._not_before:
                self._asked_for = frozenset(missing)
                stream.close()
        return False

    def _end_stream(self) -> None:
        with self._lock:
            if self._stream is not None:
                self._stream.close()

    def _run(self, part: str, follow: Callable[[Callable[[], None]], None]) -> None:
        pause, led, away = _FIRST_PAUSE, False, False

        def well() -> None:
            nonlocal pause, away
            if away:
                log.info("world.back", part=part)
            pause, away = _FIRST_PAUSE, False

        while not self._stopping.is_set():
            if not self._leads():
                if led:
                    self._tell_lost()
                led = False
                self._stopping.wait(_WITHOUT)
                continue
            led = True
            try:
                follow(well)
                continue
            except MachineError:
                self._stopping.wait(_WITHOUT)  # there is no such part, or not yet
                continue
            except CalvinverseError as error:
                # Once for each time that it is away.
                if not away and not self._stopping.is_set():
                    log.warning("world.away", part=part, reason=error.message)
            except Exception as error:  # it must not end: nobody would learn of anything any more
                if not away:
                    log.error("world.fault", part=part, exc_info=error)
            away = True
            self._stopping.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _follow_jobs(self, well: Callable[[], None]) -> None:
        """One stream, from its listing to its end."""
        asked_for, self._asked_for = self._asked_for, frozenset()
        stream = self._jobs.open()
        try:
            began = time.monotonic()
            listing = stream.listing()
            took = time.monotonic() - began
            for subscriber in self._subscribers:
                subscriber.jobs_listed(listing, stream.namespaces)
            with self._lock:
                self._stream = stream
                self._absent = asked_for - stream.namespaces
                self._not_before = time.monotonic() + max(_LEAST, took * _SHARE)
            well()
            end = began + LONGEST
            for happenings in stream.batches():
                if happenings:
                    for subscriber in self._subscribers:
                        subscriber.jobs_changed(happenings)
                if self._stopping.is_set() or time.monotonic() > end or not self._leads():
                    return
        finally:
            with self._lock:
                self._stream = None
            stream.close()

    def _follow_checks(self, well: Callable[[], None]) -> None:
        """Questions, each waiting for a change from the answer before."""
        index, wait, end = 0, 0.0, time.monotonic() + LONGEST
        while not self._stopping.is_set() and self._leads() and time.monotonic() < end:
            index, critical = self._checks.critical(index, wait)
            wait = _WAIT
            well()
            for subscriber in self._subscribers:
                subscriber.checks_listed(critical)
            self._stopping.wait(_LEAST)

    def _tell_lost(self) -> None:
        self._end_stream()
        for subscriber in self._subscribers:
            subscriber.lost()
