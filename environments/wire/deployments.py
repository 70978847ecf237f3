"""Deployments in the API, with the queue and the workers."""

from datetime import datetime

from pydantic import Field

from environments.domain.environment import Failure
from environments.domain.lifecycle import DeploymentKind, DeploymentState, StepState
from environments.domain.timing import Because
from environments.wire.fields import DeploymentId, PlanId, Request, ShownLabel, View


class StepView(View):
    """A step of a deployment. Times are UTC."""

    name: ShownLabel
    uses: str
    needs: tuple[ShownLabel, ...] = ()
    state: StepState
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    failure: Failure | None = None


class DeploymentView(View):
    """A deployment with its journal, steps in the order of the template."""

    id: DeploymentId
    kind: DeploymentKind
    state: DeploymentState
    reason: str
    requested_by: str
    requested_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    failure: Failure | None = None
    worker: str | None = None
    plan_id: PlanId | None = None
    because: Because | None = None
    """The rule of the calendar that asked for it; None: a person did, or another deployment."""
    cancel_requested_at: datetime | None = None
    cancel_requested_by: str | None = None
    steps: tuple[StepView, ...] = ()


class PendingView(View):
    """Why a deployment doesn't run yet, or what it does. `position` 1: the next of its lane; None: it doesn't wait.

    `lane` is `destroy` or `deploy`; `reasons` are sentences.
    """

    deployment_id: DeploymentId
    state: DeploymentState
    lane: str
    position: int | None = None
    waiting: int = 0
    """How many wait in the lane, this one included."""
    reasons: tuple[str, ...] = ()


class WorkerView(View):
    """A worker: one start of a process that carries out deployments. `alive`: it was heard of within its lease."""

    name: str
    host: str
    pid: int
    version: str
    started_at: datetime
    seen_at: datetime
    alive: bool
    slots: dict[str, int] = Field(default_factory=dict)
    """Lane → how many deployments it runs at once."""
    running: tuple[str, ...] = ()
    """Ids of the deployments that it holds."""


class CancelRequest(Request):
    """Asks the running deployment to stop; `force` cuts the grace of what runs short."""

    force: bool = False
