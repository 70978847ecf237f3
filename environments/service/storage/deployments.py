"""The port to the database: deployments with their steps and resources, and the workers that run them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from environments.domain.admission import Lane, Queue, Running
from environments.domain.environment import Deployment, Environment, Failure, Resource, StepRecord
from environments.domain.lifecycle import DeploymentKind, DeploymentState, ResourceStatus, StepState
from environments.domain.references import SecretReference
from environments.service.pages import Page


class Claim(NamedTuple):
    """A deployment that a worker has just claimed."""

    deployment: Deployment
    environment: Environment


class UnreadableDeployment(Exception):
    """The stored record of a deployment or of its environment can't be read, so no worker can claim it."""

    def __init__(self, deployment_id: str) -> None:
        super().__init__(f"what is stored of {deployment_id} or of its environment can't be read")
        self.deployment_id = deployment_id


class DeploymentRef(NamedTuple):
    """The fields that can be read of every deployment."""

    id: str
    environment_id: str
    kind: DeploymentKind


class Span(NamedTuple):
    """When a deployment ran, what it did, and with which version of a template."""

    kind: DeploymentKind
    state: DeploymentState
    started_at: datetime
    ended_at: datetime | None
    bundle: str


class Deployments(Protocol):
    """The queue and the history. Only `environments.service.transitions` calls what changes a deployment's state."""

    def ref(self, deployment_id: str) -> DeploymentRef:
        """An existing deployment, even if its record can't be read as a whole."""
        ...

    def add(self, deployment: Deployment) -> None:
        """Queues a deployment."""
        ...

    def get(self, deployment_id: str) -> Deployment | None:
        """One deployment."""
        ...

    def of(self, environment_id: str, *, limit: int | None = None, before: str | None = None) -> Page[Deployment]:
        """An environment's deployments, newest first; at most `limit`, older than the one with the id `before`.

        Raises `NotFound` when there is no deployment `before`.
        """
        ...

    def spans(self, environment_id: str) -> list[Span]:
        """All deployments of an environment that have begun, in the order of their beginnings."""
        ...

    def unfinished(self, environment_id: str) -> list[Deployment]:
        """Queued and running deployments, oldest first."""
        ...

    def supersede(self, environment_id: str, now: datetime) -> list[DeploymentRef]:
        """Supersedes deployments for a destroy: ends and returns queued ones, and asks the running one to stop."""
        ...

    def cancel(self, deployment_id: str, by: str, now: datetime, *, force: bool) -> bool:
        """Asks a running deployment to stop, and records who asked first. False if it isn't running any more."""
        ...

    def withdraw(self, deployment_id: str, by: str, failure: Failure, now: datetime) -> bool:
        """Ends a queued deployment as cancelled; False if it isn't queued any more."""
        ...

    def queue(self, lane: Lane) -> Queue:
        """The deployments that wait in a lane, and those that run."""
        ...

    def running(self) -> tuple[Running, ...]:
        """Running deployments of both lanes, the longest running first."""
        ...

    def waiting(self, kinds: Iterable[DeploymentKind], now: datetime) -> bool:
        """Whether a claim would find a deployment: a lease has expired, or one may start, if need be after
        `end_superseded`. Cheap.
        """
        ...

    def end_superseded(self, now: datetime) -> list[DeploymentRef]:
        """Ends and returns superseded deployments of dead workers, for which a destroy waits."""
        ...

    def claim(self, worker: str, lease: float, kinds: Iterable[DeploymentKind], now: datetime) -> Claim | None:
        """Claims a deployment of one of these kinds for `lease` seconds, with a new epoch; None if none may run.

        A deployment whose worker's lease has expired comes first; else the first in the order of
        `environments.domain.admission` starts. Raises `UnreadableDeployment`.
        """
        ...

    def set_aside(self, deployment_id: str, worker: str, wait: float, failure: Failure, now: datetime) -> bool:
        """Takes a deployment that can't be read out of the queue; returns whether it has failed by that.

        A destroy is only postponed, by `wait` seconds.
        """
        ...

    def renew(self, deployment_id: str, worker: str, epoch: int, lease: float) -> bool:
        """Renews the lease for `lease` seconds from now; False if the worker has lost it."""
        ...

    def release(self, deployment_id: str, worker: str, epoch: int) -> None:
        """Gives up the lease at once, so that any worker can resume the deployment."""
        ...

    def release_all(self) -> None:
        """Ends every lease: only for a service that has just started and is the only one on its database."""
        ...

    def check(self, deployment_id: str, worker: str, epoch: int) -> None:
        """Returns if the worker may continue. Raises `LeaseLost`, `Superseded` or `Cancelled`.

        `details` of `Cancelled` say whether the grace period was ended (`forced`) and who cancelled (`by`).
        """
        ...

    def fence(self, deployment_id: str, worker: str, epoch: int) -> None:
        """Raises `LeaseLost` unless the worker holds the deployment, which it keeps for this transaction."""
        ...

    def end(
        self,
        deployment_id: str,
        worker: str,
        epoch: int,
        state: DeploymentState,
        failure: Failure | None,
        now: datetime,
    ) -> None:
        """Ends a deployment. Raises `LeaseLost`."""
        ...

    def count(self) -> dict[tuple[DeploymentKind, DeploymentState], int]:
        """How many deployments of each kind are in each state."""
        ...


def newest_of(deployments: Deployments, environment_id: str) -> Deployment | None:
    """The newest deployment of an environment; None: it has none."""
    return next(iter(deployments.of(environment_id, limit=1)), None)


class Journal(Protocol):
    """The steps of deployments."""

    def lay_out(self, deployment_id: str, steps: Sequence[tuple[str, str, Sequence[str]]]) -> None:
        """Adds pending steps (name, kind, needs) in order; existing ones stay as they are."""
        ...

    def steps(self, deployment_id: str) -> list[StepRecord]:
        """The steps, in the order in which they were added."""
        ...

    def needs(self, deployment_id: str) -> dict[str, tuple[str, ...]]:
        """For each step of the deployment, the steps that it needs."""
        ...

    def set(
        self,
        deployment_id: str,
        name: str,
        state: StepState,
        now: datetime,
        **values: Any,
    ) -> None:
        """Sets a step's state; counts an attempt and sets the start when it begins to run, the end when it ends."""
        ...

    def latest(self, environment_id: str) -> dict[str, StepRecord]:
        """For each step its record in the newest deployment, except destroys, in which it began."""
        ...

    def references(self, environment_id: str) -> list[SecretReference]:
        """Every reference that a step with secrets has returned in a deployment of the environment."""
        ...


class Inventory(Protocol):
    """The resources of environments."""

    def intend(self, resources: Sequence[Resource], ranks: Mapping[str, int]) -> None:
        """Records resources that are about to be made; gone ones are intended again.

        A recorded resource of another step belongs to this step from now on.

        `ranks` maps `kind address` to the rank of shared resources.
        """
        ...

    def of(self, environment_id: str, *, limit: int | None = None, skip: int = 0) -> Page[Resource]:
        """The environment's resources, in the order of creation; at most `limit`, without the first `skip`."""
        ...

    def shared_by_rank(self, environment_id: str) -> list[Resource]:
        """The shared resources, in the order in which they have to be destroyed."""
        ...

    def set(
        self,
        environment_id: str,
        kind: str,
        address: str,
        status: ResourceStatus,
        detail: str,
        now: datetime,
    ) -> None:
        """Sets a resource's status and detail."""
        ...

    def settle(self, environment_id: str, refs: Sequence[tuple[str, str]], now: datetime) -> None:
        """Records the intended resources of a step that is done as present and held."""
        ...

    def hold(self, environment_id: str, refs: Sequence[tuple[str, str]]) -> None:
        """Records these (kind, address) as held: they belong to the environment even if their marks are lost."""
        ...

    def held(self, environment_id: str, *, gone: bool = False) -> frozenset[tuple[str, str]]:
        """What the environment holds; with `gone` also what has been removed since, for the final observation."""
        ...

    def finish(self, environment_id: str, kind: str, address: str, marks: Sequence[str]) -> None:
        """Records the inputs (as `marks`) with which a job ran to completion; no marks: it hasn't."""
        ...

    def finished(self, environment_id: str) -> dict[tuple[str, str], tuple[str, ...] | None]:
        """The marks of all resources that may exist, by kind and address.

        None: the resource was made by a version that recorded no marks. Removed resources are left out.
        """
        ...


class WorkerRecord(NamedTuple):
    """One start of a worker. `alive`: its heartbeat has not expired, by the database's clock."""

    name: str
    host: str
    pid: int
    version: str
    slots: dict[str, int]
    started_at: datetime
    seen_at: datetime
    alive: bool


class Workers(Protocol):
    """The workers, which carry out deployments."""

    def beat(self, worker: WorkerRecord, lease: float) -> None:
        """Records a heartbeat, which is valid for `lease` seconds; adds a new worker."""
        ...

    def all(self, *, limit: int | None = None, skip: int = 0) -> Page[WorkerRecord]:
        """The workers, newest first; at most `limit`, without the first `skip`."""
        ...

    def leave(self, name: str) -> None:
        """Removes a worker that has ended in an orderly way."""
        ...

    def forget(self, before: datetime) -> int:
        """Deletes workers whose last heartbeat was before a moment; returns how many."""
        ...
