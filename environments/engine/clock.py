"""The clock: warns, destroys what is due, tries failed destroys again, and forgets what nobody needs any more."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from environments.domain.deadline import format_duration, warn_at
from environments.domain.environment import EventType
from environments.domain.errors import CalvinverseError
from environments.service.requests import Requests
from environments.service.storage import Storage

_LONGEST_SLEEP = 1.0
"""Seconds: also bounds what a step of the machine's clock can do."""

_FORGETS_EVERY = timedelta(hours=1)

log = structlog.get_logger()


class Retention(NamedTuple):
    """How long things are kept."""

    logs: timedelta = timedelta(days=14)
    events: timedelta = timedelta(days=90)
    ended: timedelta = timedelta(days=90)
    """Ended environments with their deployments."""


class Alarm:
    """One thread that looks once a second, and at each deadline."""

    def __init__(
        self,
        storage: Storage,
        requests: Requests,
        clock: Callable[[], datetime],
        retention: Retention,
    ) -> None:
        self._storage = storage
        self._requests = requests
        self._clock = clock
        self._retention = retention
        self._forgot_at: datetime | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)

    def start(self) -> None:
        """Begins, with what became due while nothing ran."""
        self._thread.start()

    def stop(self) -> None:
        """Ends."""
        self._stopping.set()
        self._thread.join(timeout=5)

    def tick(self) -> None:
        """Does what is due now."""
        for name in self._requests.destroy_due():
            log.info("clock.destroys", environment=name)
        self._warn()
        now = self._clock()
        if self._forgot_at is None or now - self._forgot_at >= _FORGETS_EVERY:
            self._forgot_at = now
            self._forget(now)

    def _warn(self) -> None:
        now = self._clock()
        with self._storage.read() as tx:
            soon = [
                environment
                for environment in tx.environments.to_warn(now)
                if environment.deadline and warn_at(environment.created_at, environment.deadline) <= now
            ]
        for environment in soon:
            assert environment.deadline is not None
            left = format_duration(environment.deadline - now)
            with self._storage.write() as tx:
                tx.environments.change(environment.id, warned=True)
                tx.events.add(
                    EventType.ENVIRONMENT_WARNING,
                    environment.id,
                    now,
                    message=f"{environment.name} will be destroyed in {left}; `calvinverse env extend` moves that",
                    data={"deadline": environment.deadline.isoformat()},
                )

    def _forget(self, now: datetime) -> None:
        with self._storage.write() as tx:
            events = tx.events.forget(
                logs_before=now - self._retention.logs, events_before=now - self._retention.events
            )
            environments = tx.forget_ended(now - self._retention.ended)
        if events or environments:
            log.info("clock.forgot", events=events, environments=environments)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.tick()
                with self._storage.read() as tx:
                    due = tx.environments.next_moment()
                sleep = _LONGEST_SLEEP if due is None else (due - self._clock()).total_seconds()
            except CalvinverseError as error:
                log.warning("clock.failed", reason=error.message)
                sleep = _LONGEST_SLEEP
            except Exception as error:  # the clock must never end: somebody's money depends on it
                log.error("clock.fault", exc_info=error)
                sleep = _LONGEST_SLEEP
            # Not woken by events: a deployment makes dozens, and a new deadline is seen after the longest sleep.
            self._stopping.wait(min(max(sleep, 0.01), _LONGEST_SLEEP))
