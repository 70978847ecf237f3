"""Containers of a Nomad in memory, and what they write."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from environments.domain.containers import Container, LogFile, Stream
from environments.domain.errors import BackendError
from tests.fakes.backends.nomad import MemoryNomad

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryContainers:
    """Implements `ContainerSource`: of the jobs of `nomad`, and those that were added."""

    def __init__(self, nomad: MemoryNomad | None = None) -> None:
        self.fault: BackendError | None = None
        """Raised by every call from now on."""
        self.looked = 0
        """How often the files of a container were listed."""
        self._nomad = nomad
        self._added: list[tuple[str, Container]] = []
        self._files: dict[tuple[str, str], dict[tuple[Stream, int], bytes]] = {}

    def containers(self, namespace: str) -> list[Container]:
        """Those of that namespace."""
        if self.fault is not None:
            raise self.fault
        found = [container for place, container in self._added if place == namespace]
        listed = [] if self._nomad is None else self._nomad.everything()[1]
        found += [
            _container(str(job["ID"]), one.group, task.name, one.id, task.state, task.failed, one.job_version)
            for place, job, allocations in listed
            if place == namespace
            for one in allocations
            for task in one.tasks
        ]
        return found

    def files(self, namespace: str, container: Container) -> list[LogFile]:
        """What was written, as `rotate` has left it."""
        self.looked += 1
        if self.fault is not None:
            raise self.fault
        kept = self._files.get((container.allocation, container.task), {})
        return [LogFile(stream, number, len(content)) for (stream, number), content in kept.items()]

    def read(self, namespace: str, container: Container, file: LogFile, offset: int, size: int) -> bytes:
        """A part of a file."""
        kept = self._files.get((container.allocation, container.task), {})
        return kept.get((file.stream, file.number), b"")[offset : offset + size]

    def add(
        self,
        namespace: str,
        job: str,
        task: str = "task",
        *,
        allocation: str = "0a0a0a0a-0000-0000-0000-000000000001",
        state: str = "running",
        minutes: int = 0,
    ) -> Container:
        """What happens: something runs there, since so many minutes after `BEGAN`."""
        container = _container(job, "group", task, allocation, state, False, 0, BEGAN + timedelta(minutes=minutes))
        self._added.append((namespace, container))
        return container

    def end(self, container: Container) -> None:
        """What happens: it has ended."""
        ended = replace(container, state="dead", finished_at=BEGAN)
        self._added = [(place, ended if one == container else one) for place, one in self._added]

    def write(self, container: Container, content: bytes | str, stream: Stream = Stream.STDOUT) -> None:
        """What a task writes."""
        files = self._files.setdefault((container.allocation, container.task), {})
        number = max((number for kind, number in files if kind is stream), default=0)
        added = content.encode() if isinstance(content, str) else content
        files[stream, number] = files.get((stream, number), b"") + added

    def rotate(self, container: Container, stream: Stream = Stream.STDOUT, *, forget: Iterable[int] = ()) -> None:
        """What Nomad does with a large file: it begins another one, and deletes old ones."""
        files = self._files.setdefault((container.allocation, container.task), {})
        files[stream, max((number for kind, number in files if kind is stream), default=-1) + 1] = b""
        for number in forget:
            del files[stream, number]


def _container(
    job: str,
    group: str,
    task: str,
    allocation: str,
    state: str,
    failed: bool,
    version: int,
    created_at: datetime = BEGAN,
) -> Container:
    started = None if state == "pending" else created_at
    return Container(
        job=job,
        group=group,
        task=task,
        allocation=allocation,
        version=version,
        state=state,
        failed=failed,
        restarts=0,
        created_at=created_at,
        started_at=started,
        finished_at=created_at if state == "dead" else None,
    )
