"""The port to Nomad, and the records that it returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from environments.domain.environment import ResourceRef
from environments.domain.plan import Change
from environments.steps.base import Intended, Owner, StepRun
from environments.steps.cluster_events import ENDED

Job = dict[str, Any]
"""A job in the form of Nomad's API (JSON API, `Job`)."""


SLICE = 1.0
"""The longest wait of one blocking query, in seconds, so that a step can be stopped."""

ASKS_TO_END = frozenset({"Killing", "Restart Signaled", "Signaling", "Sibling Task Failed", "Leader Task Dead"})
"""Kinds of a task's events by which Nomad asks it to end, or passes on a signal."""


@dataclass(frozen=True)
class TaskEvent:
    """An event of a task; `at` in nanoseconds since 1970.

    `from_outside`: its container was killed, neither by Nomad nor because it ran out of memory.
    """

    at: int
    kind: str
    message: str
    failed: bool = False
    from_outside: bool = False


@dataclass(frozen=True)
class Task:
    """A task of an allocation; `state` is pending, running or dead."""

    name: str
    state: str
    failed: bool = False
    events: tuple[TaskEvent, ...] = ()


@dataclass(frozen=True)
class Allocation:
    """An instance of a task group. `healthy` is None until the deployment has judged it.

    `client` is pending, running, complete, failed, lost or unknown; `desired` run, stop or evict. `replaced` says that
    another allocation replaces or will replace it.
    """

    id: str
    job_version: int
    group: str
    desired: str
    client: str
    healthy: bool | None = None
    replaced: bool = False
    tasks: tuple[Task, ...] = ()

    @property
    def terminal(self) -> bool:
        """Whether all its tasks have ended."""
        return self.client in ENDED


@dataclass(frozen=True)
class Evaluation:
    """A decision of the scheduler; `unplaced` says for each group that found no node why, in words.

    `without_drivers` has the groups among these for whose tasks no node has the drivers, `without_bridge` those that
    ask for networks of their own, which no node can provide.
    """

    status: str
    description: str = ""
    unplaced: Mapping[str, str] = field(default_factory=dict)
    without_drivers: frozenset[str] = frozenset()
    without_bridge: frozenset[str] = frozenset()


_OVER = frozenset({"successful", "failed", "cancelled"})


@dataclass(frozen=True)
class Rollout:
    """A deployment of Nomad, of one version of a job.

    `unpromoted` has, for each group with unpromoted canaries, how many canaries it wants; `canaries` are the
    allocations that were placed as canaries. `promotes_itself`: Nomad promotes all of them once they are healthy.
    """

    job_version: int
    status: str
    description: str = ""
    id: str = ""
    unpromoted: Mapping[str, int] = field(default_factory=dict)
    canaries: frozenset[str] = frozenset()
    promotes_itself: bool = False

    @property
    def awaits_promotion(self) -> bool:
        """Whether it waits for the promotion of its canaries."""
        return bool(self.unpromoted) and self.status not in _OVER


@dataclass(frozen=True)
class Edit:
    """A difference between the registered job and another one.

    `place` has the kinds and names of the blocks around it (`group web`, `task web`, `Template`). `field` is Nomad's
    name of the field there (`Count`, `Env[X]`), or "" when the whole block is added (`old` None) or removed (`new`
    None); then the other text represents its content. With "" and two texts the block differs in a way that is unknown.
    """

    place: tuple[str, ...]
    field: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class JobPlan:
    """What registering a job would do; without edits, nothing. `replaced`: groups whose instances would be replaced."""

    edits: tuple[Edit, ...] = ()
    replaced: frozenset[str] = frozenset()


@dataclass(frozen=True)
class GivenPort:
    """A port of a node that belongs to an allocation. `dynamic`: Nomad chose it, and not the job."""

    address: str
    port: int
    dynamic: bool


class NomadApi(Protocol):
    """Nomad's API, as far as steps use it.

    All calls raise `BackendUnavailable`, `BackendDenied` or `BackendError`.
    """

    def parse(self, text: str, variables: str) -> Job:
        """The canonical job of a job file in HCL with a variables file. Raises `InvalidJob` with Nomad's reason."""
        ...

    def job(self, namespace: str, job: str) -> Job | None:
        """The registered job, None if there is none."""
        ...

    def jobs(self, namespace: str) -> list[str]:
        """Ids of all jobs of a namespace, stopped ones included."""
        ...

    def register(self, namespace: str, job: Job, index: int) -> str:
        """Registers the job if its modify index still is `index` (0: there must be none).

        Gives the id of the evaluation ("" if there is none). Raises `InvalidJob` with Nomad's reason.
        """
        ...

    def plan(self, namespace: str, job: Job) -> JobPlan:
        """What `register` would do to the job of that id, which is registered already; changes nothing.

        Raises `InvalidJob` with Nomad's reason.
        """
        ...

    def validate(self, job: Job) -> list[str]:
        """The faults that Nomad finds in a job, in Nomad's own words; registers nothing. None: it would accept the job.

        The namespace that the job names must exist.
        """
        ...

    def evaluation(self, namespace: str, evaluation: str) -> Evaluation | None:
        """The newest evaluation of the chain that begins with that one; None if Nomad has deleted it."""
        ...

    def newest_evaluation(self, namespace: str, job: str) -> str:
        """The id of the last evaluation of the job; "" if there is none, or Nomad has deleted it."""
        ...

    def goes_on(self, namespace: str, job: str) -> bool:
        """Whether Nomad will act on the job by itself: now, later, or when there are resources."""
        ...

    def allocations(
        self, namespace: str, job: str, *, index: int = 0, wait: float = 0.0
    ) -> tuple[int, list[Allocation]]:
        """The job's allocations, and an index for the next call, which then waits for a change: `wait` seconds at most.

        Empty for a purged job, even if allocations of it are still running.
        """
        ...

    def rollout(self, namespace: str, job: str) -> Rollout | None:
        """The job's newest deployment."""
        ...

    def promote(self, namespace: str, rollout: str) -> None:
        """Promotes all canaries of a deployment, by its id. Raises `BackendError` unless all of them are healthy."""
        ...

    def signal(self, namespace: str, allocation: str, task: str, signal: str) -> None:
        """Sends a signal, such as `SIGKILL`, to a task; does nothing if the task or its allocation doesn't exist."""
        ...

    def log_tail(self, namespace: str, allocation: str, task: str, size: int) -> str:
        """The last `size` bytes of a task's standard error; "" if they can't be read."""
        ...

    def deregister(self, namespace: str, job: str, *, purge: bool) -> None:
        """Stops a job, if it exists; with `purge`, Nomad also deletes its record."""
        ...

    def namespace(self, name: str) -> dict[str, str] | None:
        """The namespace's metadata, None if there is none."""
        ...

    def write_namespace(self, name: str, description: str, metadata: Mapping[str, str]) -> None:
        """Makes or changes a namespace."""
        ...

    def remove_namespace(self, name: str) -> None:
        """Removes a namespace without jobs, if it is there."""
        ...

    def running(self, namespace: str) -> dict[str, int]:
        """How many allocations of each job haven't ended, by the job's id; includes jobs that Nomad has deleted."""
        ...

    def given_ports(self, namespace: str) -> list[GivenPort]:
        """The ports that running allocations of the namespace have on their nodes."""
        ...

    def volumes(self, namespace: str) -> list[str]:
        """Ids of the namespace's volumes: host volumes and those of storage plugins."""
        ...

    def remove_volume(self, namespace: str, volume: str) -> None:
        """Deletes an unused volume with its content, if it exists; volumes of plugins may only be deregistered."""
        ...

    def variables(self, namespace: str) -> list[str]:
        """Paths of Nomad's own variables in a namespace."""
        ...

    def remove_variable(self, namespace: str, path: str) -> None:
        """Removes a variable, if it is there."""
        ...


class JobPlaces(Protocol):
    """The places outside of Nomad that the jobs of an environment can read and write."""

    def resources(self, owner: Owner) -> list[Intended]:
        """The shared resources that a step with jobs claims or may make."""
        ...

    def claim(self, owner: Owner, run: StepRun) -> None:
        """Claims all places for the environment before a job runs; parallel steps may call it at the same time.

        Foreign things are neither taken over nor removed. Raises `ForeignResource`.
        """
        ...

    def claim_services(self, owner: Owner) -> list[ResourceRef]:
        """Claims the names of services; returns the resources to record as held. Raises `ForeignResource`."""
        ...

    def check_services(self, owner: Owner) -> None:
        """Raises `ForeignResource` if foreign services are registered under its names. Reads only."""
        ...

    def plan(self, owner: Owner) -> Sequence[Change]:
        """The changes that `claim` would make. Raises `ForeignResource` where `claim` would."""
        ...

    def notice_logins(self) -> None:
        """Notes the logins of a running job of the environment; errors are ignored."""
        ...


JOB_KIND = "nomad.job"
