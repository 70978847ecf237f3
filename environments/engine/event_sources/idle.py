"""`idle`: an environment was idle for as long as a trigger says, by all measures that the trigger names.

What isn't measured counts as busy: the time before this process led, allocations on nodes that don't answer, networks
that this machine doesn't carry, and times in which the clock jumped.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from environments.domain.environment import Environment
from environments.domain.errors import BackendError
from environments.domain.idleness import Quiet
from environments.domain.lifecycle import State
from environments.domain.received_event import NewReceivedEvent, Source
from environments.domain.trigger import Trigger
from environments.engine.event_sources.meter import Meter
from environments.engine.event_sources.parts import Deaf, SourceParts
from environments.engine.event_sources.rounds import Rounds
from environments.engine.event_sources.standing import Standing, StandingTriggers, environments_of
from environments.steps.source_ports import InstanceUse

_EVERY = 5.0
"""Seconds between two questions to Nomad about each environment."""

_SAMPLES_EVERY = 0.2
"""Seconds between two readings of the interfaces."""


class _Watch:
    """One trigger on one environment. `told`: the beginning of the idle time that was told."""

    def __init__(self, standing: Standing, environment: Environment, begun: datetime) -> None:
        trigger = standing.trigger
        self.standing, self.environment, self.begun = standing, environment, begun
        self.quiet = Quiet(trigger.cpu, trigger.bytes)
        self.told: datetime | None = None


class _Idle(NamedTuple):
    watch: _Watch
    since: datetime


Key = tuple[str, str]


class IdleEvents(Deaf):
    """Two threads: one asks Nomad and compares, the other reads the interfaces of this machine."""

    def __init__(self, parts: SourceParts) -> None:
        self._parts = parts
        self._standing = StandingTriggers(Source.IDLE)
        self._lock = threading.Lock()
        self._watches: dict[Key, _Watch] = {}
        self._meters: dict[str, Meter] = {}
        self._rounds = Rounds("idle", self._round, parts.leads, self._forget)
        self._reading = Rounds("idle-bytes", self._read, parts.leads)

    def start(self) -> None:
        """Starts the threads."""
        self._rounds.start()
        self._reading.start()

    def stop(self) -> None:
        """Stops them."""
        self._reading.stop()
        self._rounds.stop()

    def _forget(self) -> None:
        with self._lock:
            self._watches.clear()
            self._meters.clear()

    def _read(self) -> float:
        with self._lock:
            counts = any(watch.standing.trigger.bytes is not None for watch in self._watches.values())
            if counts:
                counters = self._parts.usage.moved()
                for meter in self._meters.values():
                    meter.moved(counters)
        return _SAMPLES_EVERY if counts else _EVERY

    def _round(self) -> float:
        self._look()
        with self._lock:
            names = {watch.environment.id: watch.environment.name for watch in self._watches.values()}
            asked = {id: names[id] for id in self._meters}
        for environment_id, name in asked.items():
            found: Mapping[str, InstanceUse] | None = None
            with contextlib.suppress(BackendError):
                found = self._parts.usage.use(name)
            with self._lock:
                self._measured(environment_id, found)
        self._tell()
        return _EVERY

    def _measured(self, environment_id: str, found: Mapping[str, InstanceUse] | None) -> None:
        meter = self._meters.get(environment_id)
        if meter is None:
            return
        meter.use(found)
        one = meter.slice()
        if one is not None:
            for (_, id), watch in self._watches.items():
                if id == environment_id:
                    watch.quiet.add(one)

    def _look(self) -> None:
        """Finds the triggers and their environments: only ready ones are watched, from when they are."""
        wanted: dict[Key, tuple[Standing, Environment]] = {}
        with self._parts.storage.read() as tx:
            found = self._standing.of(tx)
            living = environments_of(tx, found)
        for standing in found:
            for environment_id in standing.environments:
                environment = living.get(environment_id)
                if environment is not None and environment.state is State.READY:
                    wanted[standing.id, environment_id] = standing, environment
        now = self._parts.clock()
        with self._lock:
            before, self._watches = self._watches, {}
            for key, (standing, environment) in wanted.items():
                watch = before.get(key)
                if watch is None or not _same(watch, standing.trigger, environment):
                    watch = _Watch(standing, environment, now)
                self._watches[key] = watch
            measured = {watch.environment.id for watch in self._watches.values() if _measures(watch.standing.trigger)}
            self._meters = {id: self._meters.get(id) or Meter(self._parts.clock) for id in measured}

    def _tell(self) -> None:
        now = self._parts.clock()
        with self._lock:
            watches = list(self._watches.values())
        if not any(watch.standing.trigger.for_ for watch in watches):
            return
        with self._parts.storage.read() as tx:
            beats = tx.heartbeats.all() if any(watch.standing.trigger.heartbeat for watch in watches) else {}
        idle = list(_idle(watches, beats, now))
        if not idle:
            return
        with self._parts.storage.write() as tx:
            self._parts.receiving.receive_in(tx, [_event(one) for one in idle])
        for one in idle:
            one.watch.told = one.since
        self._parts.receiving.wake()


def _measures(trigger: Trigger) -> bool:
    return trigger.cpu is not None or trigger.bytes is not None


def _same(watch: _Watch, trigger: Trigger, environment: Environment) -> bool:
    """Whether what was measured still counts."""
    return watch.standing.trigger == trigger and watch.environment.state_since == environment.state_since


def _idle(watches: list[_Watch], beats: dict[str, datetime], now: datetime) -> Iterator[_Idle]:
    for watch in watches:
        trigger = watch.standing.trigger
        since, until = watch.begun, now
        if _measures(trigger):
            if watch.quiet.since is None or watch.quiet.until is None:
                continue
            since, until = max(since, watch.quiet.since), watch.quiet.until
        if trigger.heartbeat:
            since = max(since, beats.get(watch.environment.id, since))
        if trigger.for_ is not None and until - since >= trigger.for_ and watch.told != since:
            yield _Idle(watch, since)


def _event(one: _Idle) -> NewReceivedEvent:
    watch, last = one.watch, one.watch.quiet.last
    fields: dict[str, object] = {"since": one.since.isoformat(timespec="seconds"), "trigger": watch.standing.id}
    if last is not None and last.cpu is not None:
        fields["cpu"] = round(last.cpu, 1)
    if last is not None and last.bytes is not None:
        fields["bytes"] = round(last.bytes)
    return NewReceivedEvent(
        source=Source.IDLE,
        kind="idle",
        origin="service",
        delivery=f"idle/{watch.environment.id}/{watch.standing.id}/{one.since:%Y%m%dT%H%M%S}",
        subject=watch.environment.id,
        fields=fields,
        at=one.since,
        environment_id=watch.environment.id,
    )
