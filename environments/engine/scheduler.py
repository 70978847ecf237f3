"""The scheduler: warns of deadlines, destroys, stops and starts what is due, and deletes what has expired.

While the clocks disagree it does only what doesn't go by the clock, and nothing until they were compared.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from environments.domain.errors import CalvinverseError
from environments.engine.clock_check import ClockCheck
from environments.service.expiry import Expiry
from environments.service.leadership import Leadership
from environments.service.retiming import Retiming
from environments.service.sharing import Sharing
from environments.service.storage.transaction import Storage
from environments.service.switching import Switching
from environments.service.warnings import Warnings

_LONGEST_SLEEP = 1.0
"""Seconds; this also limits the effect of a jump of the machine's clock."""

_PRUNED_EVERY = timedelta(hours=1)

_DEAD_WORKERS_SHOWN = timedelta(hours=1)
"""How long a worker that crashed stays on the list."""

RECEIVED_EVENTS_KEPT = timedelta(days=30)
"""How long received events are kept, with what triggers did because of them."""

DELIVERIES_KEPT = timedelta(days=90)
"""How long the ids of deliveries are: longer than any forge delivers again."""

log = structlog.get_logger()


class Retention(NamedTuple):
    """How long things are kept."""

    logs: timedelta = timedelta(days=14)
    events: timedelta = timedelta(days=90)
    ended: timedelta = timedelta(days=90)
    """Ended environments with their deployments."""


class Scheduler:
    """A thread that runs once a second, and at each deadline. Of several processes only the leader does the work."""

    def __init__(
        self,
        storage: Storage,
        expiry: Expiry,
        warnings: Warnings,
        clock: Callable[[], datetime],
        retention: Retention,
        leadership: Leadership | None = None,
        switching: Switching | None = None,
        retiming: Retiming | None = None,
        clock_check: ClockCheck | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        """Without `switching` the calendar stops and starts nothing; without `clock_check` the clock is trusted."""
        self._storage = storage
        self._expiry = expiry
        self._warnings = warnings
        self._clock = clock
        self._retention = retention
        self._leadership = leadership
        self._switching = switching
        self._retiming = retiming
        self._clock_check = clock_check
        self._sharing = sharing
        self._pruned_at: datetime | None = None
        self._leads = leadership is None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)

    def start(self) -> None:
        """Starts the thread, which first handles what became due while no process was running."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread and gives up leadership."""
        self._stopping.set()
        self._thread.join(timeout=5)
        if self._leadership is not None:
            self._leadership.close()

    def leads(self) -> bool:
        """Whether this process is the leader, as of the last check; doesn't ask the database."""
        return self._leads

    def tick(self) -> bool:
        """Handles what is due now, by deadlines that are computed; whether there may be more."""
        troubles = self._clock_check.look() if self._clock_check is not None else []
        if self._clock_check is not None and not troubles and self._clock_check.awaits():
            return False
        if self._retiming is not None and not troubles:  # edits don't move deadlines by a clock that may be wrong
            self._retiming.settle(lambda: not self._stopping.is_set())
        warned = self._warn() if not troubles else []
        destroyed = self._expiry.destroy_due(troubles, self._warnings.grace)
        for name in warned:
            log.info("scheduler.warns", environment=name)
        for name in destroyed:
            log.info("scheduler.destroys", environment=name)
        switched = self._switching.switch_due() if self._switching is not None and not troubles else []
        for name in switched:
            log.info("scheduler.switches", environment=name)
        now = self._clock()
        if not troubles and (self._pruned_at is None or now - self._pruned_at >= _PRUNED_EVERY):
            self._pruned_at = now
            self._prune(now)
        return bool(warned or destroyed or switched)

    def round(self) -> float:
        """Handles what is due now; gives the seconds until something will be due, at most the longest sleep."""
        began = self._clock()
        if self.tick():
            return 0.0
        with self._storage.read() as tx:
            due = tx.environments.next_moment(began)
        left = (due - self._clock()).total_seconds() if due is not None else _LONGEST_SLEEP
        return min(left, _LONGEST_SLEEP)

    def _warn(self) -> list[str]:
        try:
            warned = self._warnings.queue_due()
            self._warnings.await_delivery()
        except CalvinverseError:
            raise
        except Exception as error:  # no fault of warnings keeps an environment beyond their grace
            log.error("scheduler.warning_fault", exc_info=error)
            return []
        return warned

    def _prune(self, now: datetime) -> None:
        logs_before, events_before = now - self._retention.logs, now - self._retention.events
        events, some = 0, 1
        while some and not self._stopping.is_set():
            with self._storage.write() as tx:
                some = tx.events.forget(logs_before=logs_before, events_before=events_before)
            events += some
        with self._storage.write() as tx:
            environments = tx.forget_ended(now - self._retention.ended)
            tx.plans.forget(now)
            tx.holds.forget(now - self._retention.ended)
            tx.workers.forget(now - _DEAD_WORKERS_SHOWN)
        shares, some = 0, 1
        while some and self._sharing is not None and not self._stopping.is_set():
            some = self._sharing.forget_ended()
            shares += some
        received, some = 0, 1
        while some and not self._stopping.is_set():
            with self._storage.write() as tx:
                some = tx.received.forget(
                    events_before=now - RECEIVED_EVENTS_KEPT, deliveries_before=now - DELIVERIES_KEPT
                )
            received += some
        if events or environments or shares or received:
            log.info("scheduler.pruned", events=events, environments=environments, shares=shares, received=received)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                sleep = _LONGEST_SLEEP
                self._leads = self._leadership is None or self._leadership.is_leader()
                if self._leads:
                    sleep = self.round()
            except CalvinverseError as error:
                self._leads = self._leadership is None
                log.warning("scheduler.failed", reason=error.message)
                sleep = _LONGEST_SLEEP
            except Exception as error:  # the thread must not end: deadlines depend on it
                log.error("scheduler.fault", exc_info=error)
                sleep = _LONGEST_SLEEP
            # Events don't wake the thread, because a deployment writes dozens. A new deadline is read after the
            # longest sleep.
            self._stopping.wait(min(max(sleep, 0.01), _LONGEST_SLEEP))
