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
from environments.domain.plan import StepPlan
from environments.domain.timing import Because, OwnRule, Pin, TimedAction


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Unexpected(_Record):
    """A thing in the environment's namespace or prefixes that none of its steps made."""

    kind: str
    address: str
    detail: str = ""


class Incident(_Record):
    """Something that somebody did to an environment from outside, whatever has become of it since."""

    at: datetime
    kind: str
    address: str
    detail: str


class Drift(_Record):
    """The result of an observation of an environment: how the backends differ from what its steps made.

    `steps` is what a repair would do; no changes and nothing unexpected: it is as it should be. `troubles` names, by
    step, what could not be looked at. Of many unexpected things some are named; `more_unexpected` counts the others.
    `incidents` are those since the last deployment, which may be over and mended.
    """

    observed_at: datetime
    steps: tuple[StepPlan, ...] = ()
    unexpected: tuple[Unexpected, ...] = ()
    more_unexpected: int = 0
    troubles: dict[str, str] = Field(default_factory=dict)
    incidents: tuple[Incident, ...] = ()

    @property
    def found(self) -> bool:
        """Whether anything differs."""
        return bool(self.unexpected) or any(step.changes for step in self.steps)


class DegradedReason(_Record):
    """Something that keeps a ready environment from working as a whole. Never holds a secret.

    `since` is UTC. `step` is the step that made the thing, None where no step is known for it. `kind` and `address` say
    what it is: `nomad.job` (`<namespace>/<job>`), `nomad.task` (`<namespace>/<job>/<task>`), `consul.check`
    (`<service>/<check>`, or the service for a check without a name). `reason` is one sentence. Of many reasons some are
    kept; the last one then counts the others, with an empty kind and address.
    """

    since: datetime
    step: str | None = None
    kind: str
    address: str
    reason: str


class Failure(_Record):
    """Why something failed, as a person reads it. Never holds a secret."""

    code: str
    message: str
    hint: str = ""
    step: str | None = None


class Environment(_Record):
    """One instance of a template. Times are UTC; `deadline` None means that no clock destroys it.

    `deadline` is computed of everything that sets one (`environments.service.timing`), and `deadline_because` says what
    it was. `maximum_deadline` is the latest deadline that its template and policies allow. `managed_by` is None for
    environments of this service; otherwise it says who owns it, and it is read-only here.
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
    deadline_because: Because | None = None
    deadline_moves: int = 0
    """How often its deadline has moved: tells apart deadlines of the same moment that were set at different times."""
    set_deadline: datetime | None = None
    """The deadline that a lifetime or a person sets; rules of the calendar may come before it."""
    set_because: Because | None = None
    rules: tuple[OwnRule, ...] = ()
    """Its own rules of the calendar, beside those of its template."""
    rules_from: datetime | None = None
    """Rules count from here: None, from its creation; else from the deadline that somebody last set."""
    template_rules_from: datetime | None = None
    """Rules of its template's version count from here; None: from its creation."""
    switch_at: datetime | None = None
    """When the calendar stops or starts it next; in the past while that waits for a deployment to end."""
    switch_action: TimedAction | None = None
    switches_from: datetime | None = None
    """Stops and starts by the calendar up to here are done with; None: those before its creation."""
    switch_again_at: datetime | None = None
    """When a stop or a start that failed is tried again, unless a deployment or another moment comes before."""
    switch_attempts: int = 0
    """How often the last stop or start of the calendar has failed."""
    maximum_deadline: datetime | None = None
    template_maximum: datetime | None = None
    """The latest deadline that its template allows, without policies."""
    pin: Pin | None = None
    """The last pin; it has no effect after its end."""
    warned: bool = False
    """Whether its owner was warned of this deadline."""
    warn_at: datetime | None = None
    """When its owner is warned next; None: not any more, or never."""
    warned_at: datetime | None = None
    """When it was warned of its present deadline."""
    hold_id: str | None = None
    """The hold that keeps the clock from destroying it at its present deadline."""
    hold_released: bool = False
    """Whether an admin released that hold."""
    outputs: dict[str, Any] = Field(default_factory=dict)
    failure: Failure | None = None
    destroy_attempts: int = 0
    destroy_again_at: datetime | None = None
    destroyed_at: datetime | None = None
    managed_by: str | None = None
    last_good: str | None = None
    """The deployment that last made it ready: what a rollback goes back to."""
    drift: Drift | None = None
    """What the last observation found; None if there was none since the last deployment."""
    observe_at: datetime | None = None
    """When it is observed next; None: only on request."""
    awaiting_promotion: tuple[str, ...] = ()
    """Steps whose new version runs beside the one before, and waits for a person to promote it."""
    degraded: tuple[DegradedReason, ...] = ()
    """What of it doesn't work, as far as it is ready; empty: nothing is known to be wrong."""
    network: str = "bridge"
    """`bridge`: its jobs have networks of their own. `host`: they may use their node's."""
    host_network_bundle: str | None = None
    """The version of its template that may use the node's network without declaring it: the one that it had when
    templates began to declare that. None: no version may."""

    def network_by(self, bundle: str, declared: str) -> str:
        """The network that its jobs get by a version of its template (its digest, and what it declares)."""
        return "host" if bundle == self.host_network_bundle else declared


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
    template: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """What it was asked to apply, without secrets: an update or a rollback is told by the history."""
    plan_id: str | None = None
    """The saved plan that it has to keep to."""
    rollback_to: str | None = None
    """The earlier deployment that it goes back to; None: it goes on to something new."""
    by_machine: bool = False
    """Requested by the scheduler or a trigger: people go first."""
    template_limit: int | None = None
    """How many deployments of its template may run at once."""
    run_again: dict[str, str] = Field(default_factory=dict)
    """Steps whose work a person wants done again, each with the id of the deployment that was first asked to."""
    cancel_requested_at: datetime | None = None
    cancel_requested_by: str | None = None
    cancel_forced: bool = False
    """Whether the grace of a cancel was cut short."""
    because: Because | None = None
    """The rule of the calendar that asked for it; None: a person or something else did."""
    hops: int = 0
    """How many triggers led to it, each because of what the one before did."""


class StepRecord(_Record):
    """A line of the journal: how far a deployment has come with one step. `outputs` hold references, never secrets.

    `inputs` stands for the rendered options: equal for equal ones. Empty for a step that takes things away.
    """

    deployment_id: str
    name: str
    uses: str
    state: StepState
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outputs: dict[str, Any] = Field(default_factory=dict)
    inputs: str = ""
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
    ENVIRONMENT_DEADLINE = "environment.deadline"
    ENVIRONMENT_NOT_SWITCHED = "environment.not_switched"
    ENVIRONMENT_RULES = "environment.rules"
    ENVIRONMENT_PINNED = "environment.pinned"
    ENVIRONMENT_UNPINNED = "environment.unpinned"
    ENVIRONMENT_TRANSFERRED = "environment.transferred"
    ENVIRONMENT_SHARED = "environment.shared"
    ENVIRONMENT_UNSHARED = "environment.unshared"
    ENVIRONMENT_WARNING = "environment.warning"
    ENVIRONMENT_WARNING_DELIVERED = "environment.warning_delivered"
    ENVIRONMENT_WARNING_FAILED = "environment.warning_failed"
    ENVIRONMENT_WARNING_AWAITED = "environment.warning_awaited"
    ENVIRONMENT_NOTICE = "environment.notice"
    ENVIRONMENT_HELD = "environment.held"
    ENVIRONMENT_AWAITING_PROMOTION = "environment.awaiting_promotion"
    ENVIRONMENT_DRIFT = "environment.drift"
    ENVIRONMENT_INCIDENT = "environment.incident"
    ENVIRONMENT_DEGRADED = "environment.degraded"
    ENVIRONMENT_RECOVERED = "environment.recovered"
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
