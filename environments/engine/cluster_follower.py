"""Follows the events of the cluster for all subscribers in this process, so that none of them polls.

Of several processes only the leader follows events. A stream begins with a listing of everything, so no change between
two streams is missed. A new stream starts when the connection is lost, when an agent restarts, and every `LONGEST`
seconds, which also renews the token. A stream has no events of namespaces that were created after it was opened. For
these it is opened again, at a limited rate.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import structlog

from environments.domain.errors import CalvinverseError, MachineError
from environments.steps.cluster_events import Check, CheckFeed, Happening, JobFeed, JobStream, Listing

LONGEST = 600.0
"""Seconds that one stream is followed. A token of the service is valid for twice that at least."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0
"""Seconds before an unavailable backend is asked again: doubled from the first to the longest."""

_WITHOUT = 2.0
"""Seconds between two checks by a process that doesn't lead, or that knows of no cluster."""

_SHARE = 20
"""After a listing, the next stream for new namespaces is opened this many times the listing's duration later."""

_LEAST = 1.0
"""Seconds at least between two such streams, and between two queries to Consul."""

_WAIT = 55.0
"""Seconds that a blocking query to Consul waits for a change."""

log = structlog.get_logger()


class ClusterSubscriber(Protocol):
    """What is told of the cluster's events. Its methods return at once."""

    def jobs_listed(self, listing: Listing, namespaces: frozenset[str]) -> None:
        """All jobs, at the beginning of a stream that covers these namespaces."""
        ...

    def jobs_changed(self, happenings: Sequence[Happening]) -> None:
        """Events that followed."""
        ...

    def checks_listed(self, critical: Sequence[Check]) -> None:
        """All critical checks."""
        ...

    def lost(self) -> None:
        """Another process leads."""
        ...


class ClusterFollower:
    """Two threads: one follows Nomad, the other queries Consul, both while `leads` says that this process leads."""

    def __init__(self, jobs: JobFeed, checks: CheckFeed, leads: Callable[[], bool]) -> None:
        self._jobs = jobs
        self._checks = checks
        self._leads = leads
        self._subscribers: list[ClusterSubscriber] = []
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._stream: JobStream | None = None
        self._asked_for: frozenset[str] = frozenset()
        self._absent: frozenset[str] = frozenset()
        self._not_before = 0.0
        self._threads = [
            threading.Thread(target=self._run, args=("nomad", self._follow_jobs), name="follow-nomad", daemon=True),
            threading.Thread(target=self._run, args=("consul", self._follow_checks), name="follow-consul", daemon=True),
        ]

    def subscribe(self, subscriber: ClusterSubscriber) -> None:
        """Adds a subscriber, before `start`. The streams' threads call its methods."""
        self._subscribers.append(subscriber)

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stops the threads. Doesn't wait for a blocking query to Consul, because that changes nothing."""
        self._stopping.set()
        self._end_stream()
        self._threads[0].join(timeout=2)

    def want(self, namespaces: Collection[str]) -> bool:
        """Whether the stream covers these namespaces.

        If not, it is opened again as soon as allowed; then call this again. A namespace that didn't exist when the
        stream was opened for it counts as covered, because it is empty.
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
                log.info("backend.available", part=part)
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
                self._stopping.wait(_WITHOUT)  # no such backend is configured, or not yet
                continue
            except CalvinverseError as error:
                # logged once for each outage
                if not away and not self._stopping.is_set():
                    log.warning("backend.unavailable", part=part, reason=error.message)
            except Exception as error:  # the thread must not end: no later event would be noticed
                if not away:
                    log.error("backend.fault", part=part, exc_info=error)
            away = True
            self._stopping.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _follow_jobs(self, well: Callable[[], None]) -> None:
        """Follows one stream, from its listing to its end."""
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
        """Sends queries, each waiting for a change from the answer to the one before."""
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
