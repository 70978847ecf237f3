"""The port to the database, as the use cases and the engine need it: one transaction, its parts by noun.

A transaction either happens as a whole or not at all. What it writes for people is an event in the same transaction.
What takes a `limit` may end earlier, for the bytes of it: see `environments.service.pages`.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from environments.domain.admission import Lane, Queue, Running
from environments.domain.environment import (
    DegradedReason,
    Deployment,
    Environment,
    Event,
    EventType,
    Failure,
    Resource,
    StepRecord,
)
from environments.domain.lifecycle import (
    DeploymentKind,
    DeploymentState,
    ResourceStatus,
    State,
    StepState,
)
from environments.domain.plan import Plan
from environments.domain.references import SecretReference
from environments.domain.template import Bundle
from environments.service.pages import Page


class Watched(NamedTuple):
    """What it takes to tell whether an environment works. `made`: address → step of its resources of some kind.

    `ended`: address → whether it ran to its end; None: it was made by a version that didn't write that down.
    """

    id: str
    name: str
    state: State
    state_since: datetime
    degraded: tuple[DegradedReason, ...]
    made: Mapping[str, str | None]
    ended: Mapping[str, bool | None]


class Environments(Protocol):
    """Reading and writing environments."""

    def add(self, environment: Environment, sealed: bytes | None = None) -> None:
        """Raises what `check_free` raises. `sealed` are the encrypted secret parameters."""
        ...

    def check_free(self, name: str) -> None:
        """Raises `NameTaken` when a live environment has the name, or one that was given up and may be left in part."""
        ...

    def get(self, environment_id: str) -> Environment | None:
        """The one with that id; a name finds nothing."""
        ...

    def named(self, name: str, *, owner: str | None = None) -> Environment | None:
        """The live environment of that name, else the newest ended one; of that owner's, if one is given.

        An id finds nothing. Only for what a person typed.
        """
        ...

    def all(
        self, *, owner: str | None = None, ended: bool = False, limit: int | None = None, before: str | None = None
    ) -> Page[Environment]:
        """Newest first; ended ones only if asked for. At most `limit`, older than the one with the id `before`.

        Raises `UnknownEnvironment` when there is none of that id.
        """
        ...

    def names(self, *, owner: str | None = None, limit: int) -> list[str]:
        """The names of those that aren't ended, the newest first, at most `limit`."""
        ...

    def made_from(self, template: str, digest: str | None = None) -> list[tuple[str, str]]:
        """Name and owner of each that isn't ended and was made from the template (and is to be at that version)."""
        ...

    def change(self, environment_id: str, **values: Any) -> None:
        """Writes the named columns; pydantic values are stored as JSON."""
        ...

    def sealed(self, environment_id: str) -> bytes | None:
        """The encrypted secret parameters that still wait to be handed to OpenBao."""
        ...

    def due(self, now: datetime, limit: int) -> list[Environment]:
        """Those whose deadline has passed and which nothing destroys yet, and failed destroys to try again.

        At most `limit`, the longest overdue first.
        """
        ...

    def to_warn(self, now: datetime) -> list[Environment]:
        """Live ones with a deadline within the longest notice that were not warned yet."""
        ...

    def to_observe(self, now: datetime, state: State, limit: int) -> list[Environment]:
        """Those in that state whose `observe_at` has come; at most `limit`, the longest overdue first."""
        ...

    def watched(self, kind: str, *, since: datetime | None = None) -> list[Watched]:
        """The ready ones that are managed here, with their present resources of that kind.

        With `since` those of any state that are in it since that moment or later; resources only of ready ones.
        """
        ...

    def next_moment(self) -> datetime | None:
        """The earliest deadline or next attempt among live environments."""
        ...

    def count_by_state(self) -> dict[State, int]:
        """How many environments are in each state that is not an end."""
        ...


class Claim(NamedTuple):
    """A deployment that a worker has just taken under its lease."""

    deployment: Deployment
    environment: Environment


class UnreadableDeployment(Exception):
    """What is stored of a deployment, or of its environment, can't be read: it can't be handed over."""

    def __init__(self, deployment_id: str) -> None:
        super().__init__(f"what is stored of {deployment_id} or of its environment can't be read")
        self.deployment_id = deployment_id


class Deployments(Protocol):
    """The queue and the history."""

    def add(self, deployment: Deployment) -> None:
        """Puts a deployment into the queue."""
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

    def supersede(self, environment_id: str, now: datetime) -> None:
        """Makes room for a destroy: ends what waits, tells what runs that it has to stop."""
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

    def claim(self, worker: str, lease: float, kinds: Iterable[DeploymentKind], now: datetime) -> Claim | None:
        """A deployment of the lanes of these kinds, taken for `lease` seconds with a new epoch; None if none may run.

        One whose worker's lease has run out goes on first; else the first in the order of
        `environments.domain.admission` starts. Raises `UnreadableDeployment`.
        """
        ...

    def set_aside(self, deployment_id: str, worker: str, wait: float, failure: Failure, now: datetime) -> str:
        """Takes one that can't be read out of the way of the others; gives its environment's id.

        A destroy is only put off, for `wait` seconds, for what is left must not be forgotten. Everything else has
        failed, and so has its environment if it was at work.
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


class OwnedEvent(NamedTuple):
    """An event, and who owned its environment when it was read."""

    event: Event
    owner: str


class Events(Protocol):
    """What happened, in order."""

    def add(
        self,
        type: EventType,
        environment_id: str,
        now: datetime,
        *,
        deployment_id: str | None = None,
        step: str | None = None,
        message: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Tells of something; readers get it when the transaction has been committed."""
        ...

    def add_logs(self, rows: Sequence[tuple[str, str, str | None, datetime, str]]) -> None:
        """Log lines at once: (environment id, deployment id, step, moment, line)."""
        ...

    def after(
        self,
        event_id: int,
        *,
        environment_id: str | None,
        owner: str | None,
        limit: int,
    ) -> Page[Event]:
        """Events newer than an id, oldest first; of one environment, or of those of an owner."""
        ...

    def owned_after(
        self,
        event_id: int,
        *,
        environment_id: str | None,
        owner: str | None,
        limit: int,
    ) -> Page[OwnedEvent]:
        """Likewise, each with who owns its environment, out of one query."""
        ...

    def newest(self) -> int:
        """The id of the newest event; 0 when there is none."""
        ...

    def forget(self, *, logs_before: datetime, events_before: datetime) -> int:
        """Deletes old log lines and other old events, some thousands at a time; how many, 0 when none is left."""
        ...


class PushedTemplate(NamedTuple):
    """A line of the catalogue. `source` says which git repository it came from; see `TemplateSource`."""

    name: str
    digest: str
    pushed_at: datetime
    pushed_by: str
    source: dict[str, str] | None = None


class DeletedTemplate(NamedTuple):
    """A version that was taken out of the catalogue."""

    name: str
    digest: str
    deleted_at: datetime
    deleted_by: str


class Templates(Protocol):
    """The catalogue."""

    def push(self, name: str, bundle: Bundle, by: str, now: datetime, source: dict[str, str] | None = None) -> None:
        """Keeps the bundle, and makes it the newest of its name."""
        ...

    def newest(self, *, after: str = "", limit: int | None = None) -> Page[PushedTemplate]:
        """The newest of each name, by name; at most `limit`, those whose names come behind `after`."""
        ...

    def find(self, name: str, digest: str | None) -> PushedTemplate | None:
        """The newest push of the name, or the newest with that digest."""
        ...

    def hold(self, name: str) -> None:
        """From here to the end of the transaction nobody else who holds the name deletes it, or makes something of it.

        Called before the template is looked for.
        """
        ...

    def delete(self, name: str, digest: str | None, by: str, now: datetime) -> list[str]:
        """Takes every version of the name, or that one, out of the catalogue; their digests, newest first.

        The contents stay as long as an environment or a deployment needs them.
        """
        ...

    def deleted(self, name: str, digest: str | None) -> list[DeletedTemplate]:
        """What was deleted under that name (with that digest), the newest first; each digest once."""
        ...

    def bundle(self, digest: str) -> Bundle | None:
        """The content."""
        ...


class PublishedImage(NamedTuple):
    """What stood behind the name of an image from a moment on."""

    name: str
    reference: str
    channel: str
    key: str
    build: str
    published_at: datetime
    published_by: str
    withdrawn_at: datetime | None = None
    withdrawn_by: str | None = None


class Images(Protocol):
    """Which image stands behind a name, and which did before. The newest of a name counts, unless it was withdrawn."""

    def publish(self, image: PublishedImage) -> None:
        """Makes it the newest of its name."""
        ...

    def current(self, *, after: str = "", limit: int | None = None) -> Page[PublishedImage]:
        """Those that count, by name; at most `limit`, those whose names come behind `after`."""
        ...

    def history(self, name: str, *, limit: int | None = None, skip: int = 0) -> Page[PublishedImage]:
        """All of that name, newest first; withdrawn ones too. At most `limit`, without the first `skip`."""
        ...

    def withdraw(self, name: str, by: str, now: datetime) -> None:
        """Makes the newest of that name count no more."""
        ...


class TokenRecord(NamedTuple):
    """A token as stored; `hash` is SHA-256 of the whole secret, in hex.

    `parent_id` is the token that it was made with; None: it comes from the service itself, or from an older version.
    """

    id: str
    prefix: str
    hash: str
    owner: str
    role: str
    note: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    parent_id: str | None = None


class Tokens(Protocol):
    """Tokens of the API."""

    def add(self, token: TokenRecord) -> None:
        """A new token; one of that id is replaced."""
        ...

    def by_prefix(self, prefix: str) -> TokenRecord | None:
        """The token whose secret begins like this."""
        ...

    def all(self, owner: str | None, *, limit: int | None = None, before: str | None = None) -> Page[TokenRecord]:
        """Newest first; at most `limit`, older than the one with the id `before`.

        Raises `NotFound` when there is none of that id.
        """
        ...

    def living(self, owner: str, now: datetime) -> list[TokenRecord]:
        """Those of an owner that are neither revoked nor expired, the longest unused first.

        In a writing transaction one at a time looks at an owner's.
        """
        ...

    def line(self, token_id: str, longest: int) -> list[TokenRecord]:
        """The token, the one that it was made with, and so on; at most `longest`."""
        ...

    def used(self, token_id: str, now: datetime) -> None:
        """Notes the use."""
        ...

    def made_with(self, token_id: str) -> list[str]:
        """The ids of the token and of all that were made with it, and so on; of what isn't there, only its own."""
        ...

    def revoke(self, token_id: str, now: datetime) -> TokenRecord | None:
        """The revoked token; None if there is none of that id. All that were made with it, and so on, are revoked too.

        One that was revoked before keeps the moment.
        """
        ...


class KnownRequest(NamedTuple):
    """What an Idempotency-Key stood for. `request_hash`: see `environments.service.idempotency`."""

    request_hash: str
    environment_id: str
    deployment_id: str


class Requests(Protocol):
    """Idempotency keys, each for one token."""

    def find(self, token_id: str, key: str) -> KnownRequest | None:
        """What the key stands for already."""
        ...

    def add(self, token_id: str, key: str, request: KnownRequest, now: datetime) -> None:
        """Remembers the key."""
        ...


class Plans(Protocol):
    """Saved plans."""

    def add(self, plan: Plan, sealed: bytes | None = None) -> None:
        """Keeps a plan; `sealed` are the encrypted secret parameters of the request."""
        ...

    def get(self, plan_id: str) -> Plan | None:
        """One plan."""
        ...

    def sealed(self, plan_id: str) -> bytes | None:
        """The encrypted secret parameters of the request."""
        ...

    def living(self, owner: str, now: datetime) -> list[datetime]:
        """When those of an owner expire that can still be applied, the next first.

        In a writing transaction one at a time looks at an owner's.
        """
        ...

    def use(self, plan_id: str, deployment_id: str) -> bool:
        """Notes the deployment that applies the plan; False if another one has it already."""
        ...

    def forget(self, before: datetime) -> int:
        """Deletes plans that expired before a moment, unless an unfinished deployment keeps to them; how many."""
        ...


class WorkerRecord(NamedTuple):
    """A start of a worker. `alive`: its lease had not run out, by the database's clock."""

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


class StateVersion(NamedTuple):
    """A state of an OpenTofu module as it was written. Empty content: from here on there is none.

    `refused` says why it was kept aside; None: it was taken.
    """

    id: int
    content: bytes
    deployment_id: str
    worker: str
    epoch: int
    written_at: datetime
    refused: str | None


class StateLock(NamedTuple):
    """Who holds the lock on a state, and what OpenTofu said of itself. `opened`: see `StateCaller`."""

    lock_id: str
    info: dict[str, Any]
    deployment_id: str
    worker: str
    epoch: int
    opened: int


class ModuleStates(Protocol):
    """States of OpenTofu modules, their locks and run records, by environment id and step."""

    def newest(self, environment_id: str, step: str) -> StateVersion | None:
        """The newest version that was taken."""
        ...

    def aside(self, environment_id: str, step: str) -> list[StateVersion]:
        """The versions that were kept aside since there was no state the last time, oldest first."""
        ...

    def any(self, environment_id: str, step: str) -> bool:
        """Whether there is a state, or one was kept aside since there was none the last time. Cheap."""
        ...

    def versions(self, environment_id: str, step: str) -> list[StateVersion]:
        """All versions, oldest first, without their content."""
        ...

    def add(self, environment_id: str, step: str, version: StateVersion) -> int:
        """Keeps a version under a new id, which is given; that of `version` doesn't matter."""
        ...

    def remove(self, environment_id: str, step: str) -> None:
        """Deletes all versions, the lock and the run record."""
        ...

    def lock(self, environment_id: str, step: str) -> StateLock | None:
        """Who holds the lock."""
        ...

    def set_lock(self, environment_id: str, step: str, lock: StateLock | None, now: datetime) -> None:
        """Gives the lock to somebody, whoever had it; None: to nobody."""
        ...

    def run_record(self, environment_id: str, step: str) -> bytes | None:
        """The run record, encrypted."""
        ...

    def set_run_record(self, environment_id: str, step: str, content: bytes | None, now: datetime) -> None:
        """Keeps a run record in place of the one before; None: there is none any more."""
        ...


class Transaction(Protocol):
    """One transaction's view of the database."""

    @property
    def environments(self) -> Environments: ...
    @property
    def deployments(self) -> Deployments: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def inventory(self) -> Inventory: ...
    @property
    def events(self) -> Events: ...
    @property
    def templates(self) -> Templates: ...
    @property
    def images(self) -> Images: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def requests(self) -> Requests: ...
    @property
    def plans(self) -> Plans: ...
    @property
    def workers(self) -> Workers: ...
    @property
    def module_states(self) -> ModuleStates: ...

    def forget_ended(self, before: datetime) -> int:
        """Deletes environments that ended before a moment, with all that belongs to them, and bundles nobody needs.

        Those of which something may be left are kept.
        """
        ...


class Storage(Protocol):
    """The database."""

    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction that may write; committed at the end, rolled back by an exception.

        Raises `StorageError` (`DiskFull`, `DatabaseCorrupt`).
        """
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """A consistent view for reading only."""
        ...
