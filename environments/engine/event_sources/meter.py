"""Measures one environment: what its allocations use, in slices of a minute."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from environments.domain.idleness import Sample, Slice, moved_by_others
from environments.steps.source_ports import InstanceUse

SLICE = 60.0
"""Seconds of a slice."""

LONGEST_GAP = 45.0
"""Seconds between two answers of Nomad: after a longer silence nothing is known of the time between them."""

LONGEST_PAUSE = 10.0
"""Likewise between two readings of the interfaces."""

_JUMP = timedelta(seconds=3)
"""How much the clock may go away from the one that nobody sets, within a slice."""


class Meter:
    """Not for several threads at once. `use` and `moved` are called again and again, `slice` after each."""

    def __init__(self, clock: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._instances: dict[str, InstanceUse] = {}
        self._fresh_at: dict[str, float] = {}
        """Allocation → when its processor time was last measured anew."""
        self._counters: dict[str, int] = {}
        self._samples: dict[str, list[Sample]] = {}
        self._used_at = self._moved_at = monotonic()
        self._begin()

    def _begin(self) -> None:
        self._began, self._began_at = self._monotonic(), self._clock()
        self._cpu: list[float] = []
        self._measures_cpu = self._measures_bytes = True
        self._broken = False
        self._samples = {interface: [] for interface in self._samples}

    def use(self, found: Mapping[str, InstanceUse] | None) -> None:
        """What the allocations use now; None: unknown."""
        now, instances = self._monotonic(), dict(found or {})
        gap, self._used_at = now - self._used_at, now
        if not instances or gap > LONGEST_GAP or instances.keys() != self._instances.keys():
            self._broken = True
        for key, one in instances.items():
            before = self._instances.get(key)
            if before is None or one.at > before.at:
                self._fresh_at[key] = now
        self._fresh_at = {key: at for key, at in self._fresh_at.items() if key in instances}
        if any(now - at > LONGEST_GAP for at in self._fresh_at.values()):
            self._measures_cpu = False
        measured = [one.cpu for one in instances.values() if one.cpu is not None]
        self._measures_cpu &= len(measured) == len(instances)
        self._cpu.append(sum(measured))
        interfaces = {one.interface for one in instances.values()}
        if interfaces != self._samples.keys():
            self._measures_bytes = False
            self._broken |= "" not in interfaces
            self._samples = {interface: [] for interface in interfaces if interface}
        self._instances = instances

    def moved(self, counters: Mapping[str, int]) -> None:
        """What all interfaces have carried."""
        now = self._monotonic()
        seconds, self._moved_at = now - self._moved_at, now
        for interface, samples in self._samples.items():
            before, after = self._counters.get(interface), counters.get(interface)
            if before is None and after is not None and now - self._began <= LONGEST_PAUSE:
                continue  # it is read for the first time
            if before is None or after is None or after < before or seconds > LONGEST_PAUSE:
                self._measures_bytes = False
            else:
                samples.append(Sample(seconds, after - before))
        self._counters = {interface: counters[interface] for interface in self._samples if interface in counters}

    def slice(self) -> Slice | None:
        """A slice that has ended; the next one has begun then. One in which other allocations ran ends at once."""
        passed, now = self._monotonic() - self._began, self._clock()
        if passed < SLICE and not self._broken:
            return None
        jumped = abs(now - self._began_at - timedelta(seconds=passed)) > _JUMP
        if self._broken or jumped:
            found = Slice(self._began_at, now, None, None)
        else:
            cpu = sum(self._cpu) / len(self._cpu) if self._cpu and self._measures_cpu else None
            found = Slice(self._began_at, now, cpu, self._others(passed))
        self._begin()
        return found

    def _others(self, passed: float) -> float | None:
        """Bytes a minute."""
        if not self._measures_bytes or not self._samples:
            return None
        total = 0.0
        for interface, samples in self._samples.items():
            checks = [rate for one in self._instances.values() if one.interface == interface for rate in one.checks]
            left = moved_by_others(samples, checks)
            if left is None:
                return None
            total += left
        return total * 60 / passed
