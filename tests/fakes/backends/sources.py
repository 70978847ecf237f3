"""What sources of received events ask the cluster for, in memory."""

import hashlib
import threading
from collections.abc import Mapping

from environments.domain.errors import BackendUnavailable
from environments.steps.source_ports import InstanceUse, JobEnd, WatchedKey


class MemoryJobEnds:
    """Implements `JobEnds`. While `away`, Nomad doesn't answer."""

    def __init__(self) -> None:
        self.ends: dict[tuple[str, str], JobEnd] = {}
        self.away = False
        self.asked: list[tuple[str, str]] = []

    def end(self, namespace: str, job: str) -> JobEnd | None:
        """What a test says."""
        if self.away:
            raise BackendUnavailable("Nomad is away.")
        self.asked.append((namespace, job))
        return self.ends.get((namespace, job))


class MemoryKeys:
    """Implements `KeyFeed`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._keys: dict[str, WatchedKey] = {}
        self._index = 10
        self.waiting = 0
        """Queries that wait now."""
        self.most = 0
        """The most that ever waited."""

    def put(self, key: str, value: str, flags: int = 0) -> None:
        """Sets a key."""
        with self._changed:
            self._index += 1
            digest = hashlib.sha256(value.encode()).hexdigest()[:32]
            self._keys[key] = WatchedKey(self._index, digest, value, flags)
            self._changed.notify_all()

    def delete(self, key: str) -> None:
        """Deletes a key."""
        with self._changed:
            self._index += 1
            self._keys.pop(key, None)
            self._changed.notify_all()

    def lose_index(self) -> None:
        """What a Consul that was restored has: the same keys, with smaller indexes."""
        with self._changed:
            self._index = 1
            self._keys = {key: WatchedKey(1, one.digest, one.text, one.flags) for key, one in self._keys.items()}
            self._changed.notify_all()

    def below(self, prefix: str, index: int, wait: float) -> tuple[int, Mapping[str, WatchedKey]]:
        """Waits for any change."""
        with self._changed:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            if index and wait:
                self._changed.wait_for(lambda: self._index != index, timeout=min(wait, 1.0))
            self.waiting -= 1
            found = {key: one for key, one in self._keys.items() if key.startswith(prefix)}
            return (self._index if self._index >= index else 0), found


class MemoryUsage:
    """Implements `UsageReader`: what a test says of each namespace, and of each interface."""

    def __init__(self) -> None:
        self.uses: dict[str, Mapping[str, InstanceUse] | None] = {}
        self.counters: dict[str, int] = {}

    def use(self, namespace: str) -> Mapping[str, InstanceUse] | None:
        """What a test says."""
        return self.uses.get(namespace)

    def moved(self) -> Mapping[str, int]:
        """What a test says."""
        return dict(self.counters)
