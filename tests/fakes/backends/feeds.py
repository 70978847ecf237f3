"""The streams of Nomad and Consul in memory: what the twins beside them hold, told as the real ones tell it."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from environments.domain.errors import BackendUnavailable
from environments.domain.names import SERVICE_MARK
from environments.providers.consul.feed import CHECK_KIND
from environments.providers.nomad.answers import seen_task
from environments.providers.nomad.ports import Allocation, Job
from environments.steps.cluster_events import Check, GoneJob, Happening, Listing, SeenInstance, SeenJob
from tests.fakes.backends.consul import MemoryConsul
from tests.fakes.backends.nomad import MemoryNomad

_SIGN_OF_LIFE = 0.5


class MemoryJobFeed:
    """Implements `JobFeed`. While `away` nothing can be opened; `cut` ends what is open."""

    def __init__(self, nomad: MemoryNomad) -> None:
        self.nomad = nomad
        self.opened = 0
        self._away = False
        self._open: list[MemoryJobStream] = []

    def open(self) -> "MemoryJobStream":
        """A stream of all namespaces that are there."""
        if self._away:
            raise BackendUnavailable("Nomad is away.")
        self.opened += 1
        stream = MemoryJobStream(self.nomad)
        self._open.append(stream)
        return stream

    def cut(self, *, away: bool) -> None:
        """What a restart of an agent does."""
        self._away = away
        for stream in self._open:
            stream.cut()
        self._open.clear()


class MemoryJobStream:
    """Implements `JobStream`."""

    def __init__(self, nomad: MemoryNomad) -> None:
        self._nomad = nomad
        self._closed, self._cut = threading.Event(), threading.Event()
        self.namespaces = nomad.all_namespaces()
        self._told: dict[tuple[str, str, str], Happening] = {}
        self._index, self._told = self._look()

    def listing(self) -> Listing:
        """As things are now."""
        _, found = self._look()
        jobs = [one for one in found.values() if isinstance(one, SeenJob)]
        instances = [one for one in found.values() if isinstance(one, SeenInstance) and one.client != "complete"]
        return Listing(jobs, instances)

    def batches(self) -> Iterator[Sequence[Happening]]:
        """Whatever differs from what was told last."""
        while not self._closed.is_set():
            if self._cut.is_set():
                raise BackendUnavailable("Nomad's stream of events was cut.")
            changed = self._nomad.wait_for_change(self._index, _SIGN_OF_LIFE, lambda: self._over)
            if self._over:
                continue
            if not changed:
                yield []
                continue
            self._index, found = self._look()
            fresh = [one for key, one in found.items() if self._told.get(key) != one]
            gone = [
                GoneJob(one.namespace, one.id, self._index)
                for key, one in self._told.items()
                if isinstance(one, SeenJob) and key not in found
            ]
            self._told = found
            yield [*fresh, *gone]

    def close(self) -> None:
        """Ends the stream."""
        self._closed.set()
        self._nomad.wake()

    def cut(self) -> None:
        """The other side is gone."""
        self._cut.set()
        self._nomad.wake()

    @property
    def _over(self) -> bool:
        return self._closed.is_set() or self._cut.is_set()

    def _look(self) -> tuple[int, dict[tuple[str, str, str], Happening]]:
        index, everything = self._nomad.everything()
        found: dict[tuple[str, str, str], Happening] = {}
        for namespace, job, allocations in everything:
            if namespace not in self.namespaces:
                continue
            found["job", namespace, job["ID"]] = _job(namespace, job, index)
            for one in allocations:
                found["instance", namespace, one.id] = _instance(namespace, job["ID"], one, index)
        # What hasn't changed keeps the index at which it was told.
        found |= {key: one for key, one in self._told.items() if key in found and _same(found[key], one)}
        return index, found


def _same(one: Happening, other: Happening) -> bool:
    return replace(one, index=0) == replace(other, index=0)


def _job(namespace: str, job: Job, index: int) -> SeenJob:
    return SeenJob(
        namespace=namespace,
        id=job["ID"],
        type=job["Type"],
        count=sum(group["Count"] for group in job["TaskGroups"]),
        stopped=bool(job["Stop"]),
        index=index,
        starts_later=bool(job.get("Periodic") or job.get("ParameterizedJob")),
    )


def _instance(namespace: str, job: str, found: Allocation, index: int) -> SeenInstance:
    return SeenInstance(
        namespace=namespace,
        job=job,
        id=found.id,
        group=found.group,
        node="node",
        desired=found.desired,
        client=found.client,
        index=index,
        at=max((event.at for task in found.tasks for event in task.events), default=0),
        replaced=found.replaced,
        tasks=tuple(map(seen_task, found.tasks)),
    )


class MemoryCheckFeed:
    """Implements `CheckFeed`: an instance that isn't passing has one critical check."""

    def __init__(self, consul: MemoryConsul) -> None:
        self._consul = consul

    def critical(self, index: int, wait: float) -> tuple[int, Sequence[Check]]:
        """Waits for any change."""
        newest, found = self._consul.failing(SERVICE_MARK, index, wait)
        return newest, [Check(CHECK_KIND, one.service, one.id, "alive", "it doesn't answer") for one in found]
