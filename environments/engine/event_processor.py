"""Processes received events: a thread of the leader that matches them with triggers and carries out what is due.

An event is matched in one transaction, which writes its firings and that it was matched; each firing is carried out in
one of its own. So after a crash anywhere, what was done is known, and the rest follows.
"""

import contextlib
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from environments.domain.errors import CalvinverseError, StorageError
from environments.domain.received_event import ReceivedEvent
from environments.domain.trigger import Firing, FiringState, TriggerAction
from environments.service.firing import ALWAYS_TOLD, FiringRuns, why_void
from environments.service.matching import Hit, Matching
from environments.service.storage.transaction import Storage, Transaction

_EVERY = 0.25
"""Seconds between two looks, unless this process received something."""

_REST = 4
"""How many times as long as a round took the next one waits at most: answers to deliveries aren't held up by it, and
what comes in meanwhile is matched together."""

_LONGEST_REST = 0.5
"""Seconds."""

_NICENESS = 10
"""Of the thread, where it is in a process that answers no requests (setpriority(2)): answers of other processes are
waited for, and a round may take its time. Where it shares an interpreter with requests, they would wait for it."""

_AT_ONCE = 200
"""Events that are matched in one transaction, and firings that are carried out between two looks for events."""

_WITH_A_DESTROY = frozenset({TriggerAction.DESTROY, TriggerAction.NOTIFY})
"""Actions that are carried out although the same event destroys the environment."""

_DESTROYED = "destroyed by the same event"

log = structlog.get_logger()


class EventProcessor:
    """See the module. `leads` says whether this process is the leader."""

    def __init__(
        self,
        storage: Storage,
        matching: Matching,
        runs: FiringRuns,
        clock: Callable[[], datetime],
        new_id: Callable[[str], str],
        leads: Callable[[], bool],
        every: float = _EVERY,
        *,
        gives_way: bool = False,
    ) -> None:
        self._storage = storage
        self._matching = matching
        self._runs = runs
        self._clock = clock
        self._new_id = new_id
        self._leads = leads
        self._every = every
        self._gives_way = gives_way
        self.noticed: Callable[[Transaction, Sequence[ReceivedEvent]], object] = lambda tx, events: None
        """Is told of all events in the transaction that matches them, whether or not triggers count for them."""
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread; what it is at ends or is repeated at the next start."""
        self._stopping.set()
        self._woken.set()
        self._thread.join(timeout=5)

    def wake(self) -> None:
        """Something was received, or may be carried out now."""
        self._woken.set()

    def round(self) -> bool:
        """Matches what waits and carries out what is due, some of both; whether there may be more. Raises
        `StorageError`."""
        matched = self._match()
        due = self._runs.due(_AT_ONCE)
        for firing_id in due:
            if self._stopping.is_set():
                break
            self._runs.run(firing_id)
        return matched == _AT_ONCE or len(due) == _AT_ONCE

    def _match(self) -> int:
        """Matches events; returns how many it looked at."""
        now = self._clock()
        with self._storage.read() as tx:
            waiting = tx.received.waiting(_AT_ONCE)
            if not waiting:
                return 0
            reading = self._matching.over(tx)
            hits: dict[str, list[Hit]] = {}
            void: dict[str, str] = {}
            refused: list[str] = []
            for event in waiting:
                try:
                    hits[event.id] = reading.hits(event, now)
                    void[event.id] = why_void(tx, event) if hits[event.id] else ""
                except StorageError:
                    raise
                except Exception as error:  # of one event, so others go on
                    log.error("triggers.event_fault", received_event=event.id, exc_info=error)
                    refused.append(event.id)
        with self._storage.write() as tx:
            taken = tx.received.take([event.id for event in waiting])
            matched = [event for event in waiting if event.id in taken and event.id in hits]
            self.noticed(tx, matched)
            tx.firings.add(
                [one for event in matched for one in self._firings(event, hits[event.id], void[event.id], now)]
            )
            for event_id in taken.intersection(refused):
                tx.received.refuse(event_id, now, "a fault of the service kept it from being matched; its log tells")
            tx.received.finish(taken.difference(refused), now)
        return len(waiting)

    def _firings(self, event: ReceivedEvent, hits: Sequence[Hit], void: str, now: datetime) -> list[Firing]:
        """What an event leads to. Of all that it does to one environment a destroy counts, whatever else is there.

        `void`: why it does nothing, because something later is known already.
        """
        destroyed: dict[str, set[str]] = defaultdict(set)
        for hit in hits:
            if hit.trigger.definition.action is TriggerAction.DESTROY and hit.environment is not None:
                destroyed["id"].add(hit.environment.id)
                destroyed["name"].add(hit.environment.name)
        firings = []
        for hit in hits:
            action = hit.trigger.definition.action
            state, reason = FiringState.PENDING, ""
            gone = hit.name in destroyed["name"] if hit.environment is None else hit.environment.id in destroyed["id"]
            if hit.refused:
                state, reason = FiringState.REFUSED, hit.refused
            elif void and action not in ALWAYS_TOLD:
                state, reason = FiringState.LEFT_OUT, void
            elif gone and action not in _WITH_A_DESTROY:
                state, reason = FiringState.LEFT_OUT, _DESTROYED
            pending = state is FiringState.PENDING
            firings.append(
                Firing(
                    id=self._new_id("fir"),
                    event_id=event.id,
                    trigger_id=hit.trigger.id,
                    trigger_name=hit.trigger.name,
                    owner=hit.owner,
                    environment_id=None if hit.environment is None else hit.environment.id,
                    environment=hit.name[:63],
                    action=action,
                    state=state,
                    due_at=now if pending else None,
                    reason=reason,
                    hops=event.hops,
                    created_at=now,
                    done_at=None if pending else now,
                )
            )
        return firings

    def _run(self) -> None:
        if self._gives_way:
            give_way()
        while not self._stopping.is_set():
            more, began = False, time.monotonic()
            try:
                if self._leads():
                    more = self.round()
            except CalvinverseError as error:
                log.warning("triggers.failed", reason=error.message)
            except Exception as error:  # the thread must not end: events wait for it
                log.error("triggers.round_fault", exc_info=error)
            if not more:
                self._stopping.wait(min(_REST * (time.monotonic() - began), _LONGEST_REST))
                self._woken.wait(self._every)
            self._woken.clear()


def give_way() -> None:
    """Lets all other threads of the machine go first. A system that knows no niceness of threads changes nothing."""
    thread = threading.get_native_id()
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
