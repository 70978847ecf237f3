"""An environment and what belongs to it: deployments, the journal of their steps, resources, events."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from environments.domain.lifecycle import (
    DeploymentKind,
    DeploymentState,
    ResourceStatus,
    State,
    StepState,
)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Failure(_Record):
    """Why something failed, as a person reads it. Never holds a secret."""

    code: str
    message: str
    hint: str = ""
    step: str | None = None


class Environment(_Record):
    """One instance of a template. Times are UTC; `deadline` None means that no clock destroys it.

    `maximum_deadline` is the latest deadline that its template allows. `managed_by` is None for environments of this
    service; otherwise it says who owns it, and it is read-only here.
    """

    id: str
    name: str
    owner: str
    template: str
    template_version: str
    bundle: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    state: State
    state_since: datetime
    created_at: datetime
    deadline: datetime | None = None
    maximum_deadline: datetime | None = None
    warned: bool = False
    outputs: dict[str, Any] = Field(default_factory=dict)
    failure: Failure | None = None
    destroy_attempts: int = 0
    destroy_again_at: datetime | None = None
    destroyed_at: datetime | None = None
    managed_by: str | None = None


class Deployment(_Record):
    """One run that changes an environment. `epoch` grows with each claim; only its holder may write."""

    id: str
    environment_id: str
    kind: DeploymentKind
    state: DeploymentState
    reason: str
    requested_by: str
    requested_at: datetime
    bundle: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    epoch: int = 0
    worker: str | None = None
    failure: Failure | None = None


class StepRecord(_Record):
    """A line of the journal: how far a deployment has come with one step. `outputs` hold references, never secrets."""

    deployment_id: str
    name: str
    uses: str
    state: StepState
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outputs: dict[str, Any] = Field(default_factory=dict)
    failure: Failure | None = None


class ResourceRef(_Record):
    """Where a thing is: `kind` names the handler that knows it, `address` is unique within the kind."""

    kind: str
    address: str


class Resource(_Record):
    """Anything a step made or may have made. `step` None: it serves the whole environment and goes after all steps."""

    environment_id: str
    kind: str
    address: str
    step: str | None = None
    status: ResourceStatus
    detail: str = ""
    created_at: datetime
    updated_at: datetime

    @property
    def ref(self) -> ResourceRef:
        """Kind and address."""
        return ResourceRef(kind=self.kind, address=self.address)


class EventType(StrEnum):
    """What happened, `subject.action`."""

    ENVIRONMENT_REQUESTED = "environment.requested"
    ENVIRONMENT_STATE = "environment.state"
    ENVIRONMENT_EXTENDED = "environment.extended"
    ENVIRONMENT_WARNING = "environment.warning"
    DEPLOYMENT_REQUESTED = "deployment.requested"
    DEPLOYMENT_STATE = "deployment.state"
    STEP_STATE = "step.state"
    RESOURCE_STATUS = "resource.status"
    LOG = "log"


class Event(_Record):
    """Something that happened, stored and streamed in this order: `id` only grows. `data` holds JSON values."""

    id: int
    at: datetime
    type: EventType
    environment_id: str
    environment: str
    deployment_id: str | None = None
    step: str | None = None
    message: str = ""
    data: dict[str, Any] = Field(default_factory=dict)
