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
    """A deployment that a worker has just taken under its lease."""

    deployment: Deployment
    environment: Environment


class UnreadableDeployment(Exception):
    """The stored record of a deployment or of its environment can't be read, so no worker can get it."""

    def __init__(self, deployment_id: str) -> None:
        super().__init__(f"what is stored of {deployment_id} or of its environment can't be read")
        self.deployment_id = deployment_id


class DeploymentRef(NamedTuple):
    """What can be read of every deployment."""

    id: str
    environment_id: str
    kind: DeploymentKind


class Deployments(Protocol):
    """The queue and the history. Only `environments.service.transitions` calls what changes a deployment's state."""

    def ref(self, deployment_id: str) -> DeploymentRef:
        """A deployment that exists, even if its record can't be read as a whole."""
        ...

    def add(self, deployment: Deployment) -> None:
        """Queues a deployment."""
        ...

    def get(self, deployment_id: str) -> Deployment | None:
        """One deployment."""
        ...

    def of(self, environment_id: str, *, limit: int | None = None, before: str | None = None) -> Page[Deployment]:
        """Newest first; at most `limit`, older than the one with the id `before`.

        Raises `NotFound` when there is none of that id.
        """
        ...

    def unfinished(self, environment_id: str) -> list[Deployment]:
        """Waiting or running ones, oldest first."""
        ...

    def supersede(self, environment_id: str, now: datetime) -> list[DeploymentRef]:
        """Makes room for a destroy: ends and returns deployments that wait, and asks the running one to stop."""
        ...

    def cancel(self, deployment_id: str, by: str, now: datetime, *, force: bool) -> bool:
        """Asks a running deployment to stop; the first one who asked is kept. False if it doesn't run any more."""
        ...

    def withdraw(self, deployment_id: str, by: str, failure: Failure, now: datetime) -> bool:
        """Ends a waiting deployment as cancelled; False if it doesn't wait any more."""
        ...

    def queue(self, lane: Lane) -> Queue:
        """Who waits in a lane, and what runs."""
        ...

    def running(self) -> tuple[Running, ...]:
        """What runs, in both lanes, the longest first."""
        ...

    def waiting(self, kinds: Iterable[DeploymentKind], now: datetime) -> bool:
        """Whether a claim would get something: a lease has run out, or something may start. Cheap."""
        ...

    def end_superseded(self, now: datetime) -> list[DeploymentRef]:
        """Ends and returns what a dead worker was carrying out when a request to destroy came, which waits for that."""
        ...

    def claim(self, worker: str, lease: float, kinds: Iterable[DeploymentKind], now: datetime) -> Claim | None:
        """A deployment of the lanes of these kinds, taken for `lease` seconds with a new epoch; None if none may run.

        One whose worker's lease has run out goes on first; else the first in the order of
        `environments.domain.admission` starts. Raises `UnreadableDeployment`.
        """
        ...

    def set_aside(self, deployment_id: str, worker: str, wait: float, failure: Failure, now: datetime) -> bool:
        """Takes a deployment that can't be read out of the queue; whether it has failed by that.

        A destroy is only put off, for `wait` seconds.
        """
        ...

    def renew(self, deployment_id: str, worker: str, epoch: int, lease: float) -> bool:
        """Prolongs the lease by `lease` seconds from now; False if it isn't ours any more."""
        ...

    def release(self, deployment_id: str, worker: str, epoch: int) -> None:
        """Gives the lease back at once, so that the next start goes on with it."""
        ...

    def release_all(self) -> None:
        """Ends every lease: only for a service that is alone with its database and has just started."""
        ...

    def check(self, deployment_id: str, worker: str, epoch: int) -> None:
        """Raises `LeaseLost`, `Superseded` or `Cancelled`; returns when the worker may go on.

        `details` of `Cancelled` say whether the grace was cut short (`forced`) and who cancelled (`by`).
        """
        ...

    def fence(self, deployment_id: str, worker: str, epoch: int) -> None:
        """Raises `LeaseLost` unless the worker holds the deployment, until this transaction ends."""
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
        """Ends a deployment for good. Raises `LeaseLost`."""
        ...

    def count(self) -> dict[tuple[DeploymentKind, DeploymentState], int]:
        """How many deployments of each kind are in each state."""
        ...


class Journal(Protocol):
    """The steps of deployments."""

    def lay_out(self, deployment_id: str, steps: Sequence[tuple[str, str, Sequence[str]]]) -> None:
        """Writes pending steps (name, kind, needs) in order; those that are there already stay as they are."""
        ...

    def steps(self, deployment_id: str) -> list[StepRecord]:
        """In the order in which they were laid out."""
        ...

    def needs(self, deployment_id: str) -> dict[str, tuple[str, ...]]:
        """For each step of the deployment, what it waits for."""
        ...

    def set(
        self,
        deployment_id: str,
        name: str,
        state: StepState,
        now: datetime,
        **values: Any,
    ) -> None:
        """Moves a step; counts an attempt and sets the start when it begins to run, the end when it ends."""
        ...

    def latest(self, environment_id: str) -> dict[str, StepRecord]:
        """For each step its line in the newest deployment, destroys aside, in which it began."""
        ...

    def references(self, environment_id: str) -> list[SecretReference]:
        """Every reference that a step which keeps secrets has given in a deployment of the environment."""
        ...


class Inventory(Protocol):
    """The resources of environments."""

    def intend(self, resources: Sequence[Resource], ranks: Mapping[str, int]) -> None:
        """Writes down resources that are about to be made; gone ones are intended again.

        A known one that was another step's is this step's from now on.

        `ranks` maps `kind address` to the rank of shared resources.
        """
        ...

    def of(self, environment_id: str, *, limit: int | None = None, skip: int = 0) -> Page[Resource]:
        """In the order of making; at most `limit`, without the first `skip`."""
        ...

    def shared_by_rank(self, environment_id: str) -> list[Resource]:
        """The shared ones in the order in which they have to be destroyed."""
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
        """What is known of a resource now."""
        ...

    def settle(self, environment_id: str, refs: Sequence[tuple[str, str]], now: datetime) -> None:
        """The intended resources of a step that was done are present, and held."""
        ...

    def hold(self, environment_id: str, refs: Sequence[tuple[str, str]]) -> None:
        """These (kind, address) are proven to be the environment's from now on, whatever becomes of their marks."""
        ...

    def held(self, environment_id: str, *, gone: bool = False) -> frozenset[tuple[str, str]]:
        """What it holds; with `gone` also what was taken away since, for a last look."""
        ...

    def finish(self, environment_id: str, kind: str, address: str, marks: Sequence[str]) -> None:
        """It ends by itself, and ran to its end with the inputs that `marks` stand for; none: it hasn't, or not yet."""
        ...

    def finished(self, environment_id: str) -> dict[tuple[str, str], tuple[str, ...] | None]:
        """The marks of all that may be there, by kind and address.

        None: it was made by a version that didn't write this down. What was taken away since isn't named.
        """
        ...


class WorkerRecord(NamedTuple):
    """One start of a worker. `alive`: its lease has not expired, by the database's clock."""

    name: str
    host: str
    pid: int
    version: str
    slots: dict[str, int]
    started_at: datetime
    seen_at: datetime
    alive: bool


class Workers(Protocol):
    """Who carries out deployments."""

    def beat(self, worker: WorkerRecord, lease: float) -> None:
        """Says that the worker lives, for `lease` seconds; a new one is added."""
        ...

    def all(self, *, limit: int | None = None, skip: int = 0) -> Page[WorkerRecord]:
        """Newest first; at most `limit`, without the first `skip`."""
        ...

    def leave(self, name: str) -> None:
        """The worker has ended in an orderly way."""
        ...

    def forget(self, before: datetime) -> int:
        """Deletes those that were last seen before a moment; how many."""
        ...
