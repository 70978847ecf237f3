"""What the containers of an environment write.

What runs is looked up at Nomad, and nothing that a caller names is passed on.

Only tasks of jobs in the environment's own inventory, in the namespace that it holds, can be read. What they wrote is a
stranger's text: secrets of the environment and control characters are removed, and sizes are limited.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

from environments.domain.cleaning import Cleaner
from environments.domain.containers import Container, LogFile, Stream
from environments.domain.environment import Environment
from environments.domain.errors import InvalidInput, ManagedOutside, NotFound
from environments.domain.lifecycle import ENDED, ResourceStatus
from environments.domain.suggesting import told
from environments.service import log_lines, log_places
from environments.service.authorization import Action, Principal, environment_to_read, may
from environments.service.environment_cleaners import EnvironmentCleaners, Words
from environments.service.storage.transaction import Storage

MOST_LINES = 1000
"""Lines of an answer for who asks for the last ones."""

MOST_BYTES = 20 * 1024 * 1024
"""How far before the end of a stream a reader may begin by a number of bytes."""

_NAMED = 20
_CHILDREN = ("/periodic-", "/dispatch-")
"""What Nomad puts between the id of a job and what makes the id of a run of it."""


class ContainerSource(Protocol):
    """Where containers run. All calls raise `BackendError` and its kin."""

    def containers(self, namespace: str) -> list[Container]:
        """The tasks of all allocations of a namespace that are still known, also of those that have ended."""
        ...

    def files(self, namespace: str, container: Container) -> list[LogFile]:
        """The files with its output, in any order; none if it hasn't begun, or they have been deleted."""
        ...

    def read(self, namespace: str, container: Container, file: LogFile, offset: int, size: int) -> bytes:
        """A part of a file, less if it ends before; nothing if it has been deleted."""
        ...


class JobKinds(NamedTuple):
    """The kinds of resources that say what is the environment's own: a job, and the namespace of its jobs."""

    job: str
    namespace: str


@dataclass(frozen=True)
class Asked:
    """Which container, by what a person knows of it; None: any. `allocation`: its id, or the beginning of it."""

    job: str | None = None
    task: str | None = None
    allocation: str | None = None


@dataclass(frozen=True)
class Line:
    """A line that a container wrote."""

    stream: Stream
    text: str


@dataclass(frozen=True)
class LogPart:
    """Lines of a container; those of standard error come behind the others, since nobody knows which was first.

    `after`: where to go on. `more`: there is more already. `missed`: what followed the place is deleted.
    """

    container: Container
    lines: tuple[Line, ...]
    after: str
    more: bool
    missed: bool


class ContainerLogs:
    """Answers queries; changes nothing, and is in no audit log."""

    def __init__(
        self,
        storage: Storage,
        source: ContainerSource,
        words: Words,
        kinds: JobKinds,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage = storage
        self._source = source
        self._kinds = kinds
        self._cleaners = EnvironmentCleaners(storage, words, clock)

    def containers(self, principal: Principal, name: str) -> list[Container]:
        """What has logs: by job, group and task, the newest first of each.

        Raises `UnknownEnvironment`, `Forbidden`, `ManagedOutside`, `BackendError`.
        """
        environment, jobs = self._allowed(principal, name)
        return self._of(environment, jobs)

    def read(
        self,
        principal: Principal,
        name: str,
        asked: Asked,
        *,
        streams: Sequence[Stream] = tuple(Stream),
        after: str | None = None,
        last: int = 200,
        last_bytes: int | None = None,
    ) -> LogPart:
        """What a container wrote behind the place `after`; without one the last lines.

        With `last_bytes` it begins so many bytes before the end of each stream. Raises what `containers` raises, and
        `NotFound`, `InvalidInput`, and `NotAllowedNow` if not all of the environment's secrets are known.
        """
        environment, jobs = self._allowed(principal, name)
        container = self._one(environment, asked, self._of(environment, jobs))
        files = self._source.files(environment.name, container)
        read_bytes = partial(self._source.read, environment.name, container)
        places = None if after is None else log_places.read_places(after, streams)
        found: dict[Stream, log_places.Found] = {}
        for stream in streams:
            own = [file for file in files if file.stream is stream]
            if places is not None:
                start = places[stream]
            else:
                start = log_places.before_end(own, log_places.BLOCK if last_bytes is None else last_bytes)
            found[stream] = log_places.look(own, start, read_bytes)
        # Later than the bytes: what is in them may be newer than what was known before.
        some = any(one.behind for one in found.values())
        cleaner = self._cleaners.cleaner(environment, self._cleaners.clock()) if some else Cleaner()
        only = last if places is None and last_bytes is None else None
        parts = {
            stream: log_lines.shown(one, cleaner, ended=container.ended, last=only) for stream, one in found.items()
        }
        lines = [Line(stream, text) for stream, part in parts.items() for text in part.lines]
        ends = {stream: part.end for stream, part in parts.items()}
        more = any(part.more for part in parts.values())
        missed = places is not None and any(part.missed for part in parts.values())
        return LogPart(container, tuple(lines), log_places.written(ends), more, missed)

    def _allowed(self, principal: Principal, name: str) -> tuple[Environment, frozenset[str]]:
        """The environment, and the ids of its own jobs."""
        with self._storage.read() as tx:
            environment = environment_to_read(tx, principal, name)
            may(tx, principal, Action.ENVIRONMENT_READ_CONTAINER_LOGS, environment)
            if environment.managed_by is not None:
                raise ManagedOutside(
                    f"Environment {environment.name!r} is managed by {environment.managed_by}: what its containers "
                    "write can't be read here.",
                    hint="`nomad alloc logs` reads it, on the machine that deployed it.",
                )
            held = tx.inventory.held(environment.id)
            if environment.state in ENDED or (self._kinds.namespace, environment.name) not in held:
                return environment, frozenset()  # the name, and the namespace of that name, may be somebody else's
            places = (
                found.address.split("/", 1)
                for found in tx.inventory.of(environment.id)
                if found.kind == self._kinds.job and found.status is not ResourceStatus.GONE
            )
            return environment, frozenset(place[1] for place in places if place[0] == environment.name and place[1:])

    def _of(self, environment: Environment, jobs: frozenset[str]) -> list[Container]:
        if not jobs:
            return []
        found = [one for one in self._source.containers(environment.name) if {one.job, _job_of(one)} & jobs]
        found.sort(key=lambda one: one.created_at, reverse=True)
        return sorted(found, key=lambda one: (_job_of(one), one.group, one.task))

    def _one(self, environment: Environment, asked: Asked, found: Sequence[Container]) -> Container:
        """The container that is meant: the newest of a task, if no allocation is named."""
        if not found:
            raise NotFound(
                f"The environment {environment.name!r} has no containers.",
                hint="They appear when its steps have registered jobs, and go some time after their jobs have ended.",
            )
        if asked.job is not None:
            found = _named("job", asked.job, found, lambda one: one.job if one.job == asked.job else _job_of(one))
        if asked.task is not None:
            found = _named("task", asked.task, found, lambda one: one.task)
        if asked.allocation is not None:
            wanted = asked.allocation
            fit = [one for one in found if one.allocation == wanted or one.allocation.startswith(wanted)]
            ids = {one.allocation for one in fit}
            if not fit or len(ids) > 1 or len(wanted) < 4:
                many = "more than one allocation" if len(ids) > 1 else "no allocation"
                raise NotFound(
                    f"There is {many} {wanted!r} of what was asked for.",
                    hint="`calvinverse env logs NAME --containers` lists them.",
                )
            found = fit
        tasks = list(dict.fromkeys((_job_of(one), one.group, one.task) for one in found))
        if len(tasks) > 1:
            shown = [f"{job}/{task}" for job, _, task in tasks[:_NAMED]]
            raise InvalidInput(
                f"Several containers fit: {', '.join(shown)}{' …' if len(tasks) > _NAMED else ''}.",
                hint="Name the job and the task, such as `--job web --task app`, or the allocation.",
                details={"found": shown},
            )
        return max(found, key=lambda one: (not one.ended, one.created_at))


def _job_of(container: Container) -> str:
    """The job that a container is of; for a run of a periodic or parameterized one that job."""
    places = [place for mark in _CHILDREN if (place := container.job.find(mark)) > 0]
    return container.job[: min(places)] if places else container.job


def _named(what: str, wanted: str, found: Sequence[Container], of: Callable[[Container], str]) -> list[Container]:
    fit = [one for one in found if of(one) == wanted]
    if not fit:
        there = list(dict.fromkeys(map(of, found)))
        raise NotFound(
            told(f"There is no {what} {wanted!r} with containers.", wanted, there),
            hint=f"There is: {', '.join(there[:_NAMED])}.",
        )
    return fit
