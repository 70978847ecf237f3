"""Results of use cases that no single record of the domain or of the storage represents."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from environments.domain.environment import Deployment, Environment, StepRecord
from environments.domain.holds import Hold
from environments.domain.lifecycle import DeploymentState
from environments.domain.template_parts import Template
from environments.domain.timing import Pin
from environments.service.authorization import Role
from environments.service.entry_points import EntryPointAddress
from environments.service.left_out import LeftOut
from environments.service.looking_back import Past
from environments.service.standing import UNTOLD, EnvironmentStanding
from environments.service.storage.deployments import WorkerRecord
from environments.service.storage.templates import PushedTemplate
from environments.service.storage.tokens import TokenRecord
from environments.service.storage.transaction import Transaction
from environments.service.storage.warnings import QueuedWarning
from environments.service.timing import Due


class Accepted(NamedTuple):
    """The environment after a request, and the deployment to follow, if the request queued one.

    `events_after`: all events of the deployment's run have larger ids. None if it may have begun already.
    """

    environment: Environment
    deployment_id: str | None
    events_after: int | None = None


class Journaled(NamedTuple):
    """A deployment with its steps, in the order of the template, and the steps that each needs (step → steps)."""

    deployment: Deployment
    steps: tuple[StepRecord, ...] = ()
    needs: Mapping[str, tuple[str, ...]] = {}

    @property
    def id(self) -> str:
        """The deployment's id."""
        return self.deployment.id


class EnvironmentDetails(NamedTuple):
    """An environment with its newest deployment and the addresses of its entry points."""

    environment: Environment
    newest: Journaled | None
    entry_points: tuple[EntryPointAddress, ...] = ()
    warnings: tuple[QueuedWarning, ...] = ()
    """Those of its present deadline."""
    standing: EnvironmentStanding = UNTOLD
    """What the caller is for it."""
    cost: float | None = None
    """What it has cost until now, or until its end; None: its template has no price."""


@dataclass(frozen=True)
class Explanation:
    """What the calendar will and won't do to an environment, and what happened.

    `pin`: the one that has an effect. `held`: the open hold that keeps it from being destroyed.
    """

    environment: Environment
    zone_database: str
    moments: tuple[Due, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    pin: Pin | None = None
    past: tuple[Past, ...] = ()
    held: Hold | None = None


class CataloguedTemplate(NamedTuple):
    """A template of the catalogue: its content, and who pushed it when."""

    push: PushedTemplate
    template: Template

    @property
    def name(self) -> str:
        """The template's name."""
        return self.template.name

    @property
    def digest(self) -> str:
        """The digest that identifies this version."""
        return self.push.digest


class TemplateVersion(NamedTuple):
    """A version of a template: a push of it, or that it was deleted, after which nobody knows the push any more.

    `version` is empty when the content isn't stored any more. `environments`: how many that the reader sees are at it.
    """

    digest: str
    version: str
    environments: int = 0
    pushed_at: datetime | None = None
    pushed_by: str | None = None
    source: dict[str, str] | None = None
    deleted_at: datetime | None = None
    deleted_by: str | None = None


class TemplateSource(NamedTuple):
    """The git repository of a template: `ref` is the requested revision, `commit` the commit that it named then.

    `path` is the folder in it; empty: its root.
    """

    url: str
    ref: str
    commit: str
    path: str = ""


class TemplateDeletion(NamedTuple):
    """What was deleted from the catalogue: `digests` has the versions, newest first."""

    name: str
    digests: tuple[str, ...]
    deleted_at: datetime
    deleted_by: str


class NewToken(NamedTuple):
    """A new token, and its secret, which isn't stored."""

    token: TokenRecord
    secret: str


class Worker(NamedTuple):
    """A worker, and the ids of the deployments that it runs."""

    record: WorkerRecord
    running: tuple[str, ...]


@dataclass(frozen=True)
class Pending:
    """Why a deployment waits, or what it does. `position` 1: the next of its lane; None: it doesn't wait.

    `lane` is `destroy` or `deploy`; `waiting` is the number of deployments that wait in it; `reasons` are sentences.
    """

    deployment_id: str
    state: DeploymentState
    lane: str
    position: int | None = None
    waiting: int = 0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Output:
    """An output. The value of a secret output is a mask unless it was revealed."""

    value: Any
    description: str = ""
    secret: bool = False


@dataclass(frozen=True)
class ServiceInfo:
    """The version, the caller, the zone database, and backend → address (empty if not known yet)."""

    version: str
    started_at: datetime
    now: datetime
    owner: str
    role: Role
    step_kinds: tuple[str, ...]
    parts: dict[str, str] = field(default_factory=dict)
    zone_database: str = ""


def accepted(tx: Transaction, environment: Environment, deployment: Deployment) -> Accepted:
    """The result of a request that has just queued this deployment, in the same transaction."""
    return Accepted(environment, deployment.id, tx.events.newest())


def with_journal(tx: Transaction, deployment: Deployment) -> Journaled:
    """A deployment with its journal, read from the database."""
    return Journaled(deployment, tuple(tx.journal.steps(deployment.id)), tx.journal.needs(deployment.id))
