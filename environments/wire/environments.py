"""Environments in the API: what it shows of them, and the requests about them."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from environments.domain import shapes
from environments.domain.access import EnvironmentRole
from environments.domain.environment import DegradedReason, Drift, Failure
from environments.domain.holds import HoldKind
from environments.domain.lifecycle import DeploymentState, ResourceStatus, State
from environments.domain.template_parts import MOST_RULES
from environments.domain.timing import Because, OwnRule, PastAction, Pin, Prevented, TimedAction
from environments.wire.deployments import DeploymentView
from environments.wire.fields import (
    DeploymentId,
    Digest,
    Duration,
    EnvironmentId,
    HoldId,
    Label,
    Moment,
    Name,
    Request,
    ShownDigest,
    ShownLabel,
    ShownName,
    Text,
    View,
    Word,
)
from environments.wire.timing import RuleRequest
from environments.wire.warnings import WarningView

_RESTING = (State.STOPPING, State.STOPPED)


class OutputView(View):
    """An output; the value of a secret one is a mask unless it was revealed."""

    value: Any
    description: str = ""
    secret: bool = False


class EntryPointView(View):
    """A service that everybody who reaches the edge may use, and the two addresses that lead to it."""

    service: str
    url: str
    subdomain_url: str


class EnvironmentView(View):
    """An environment as people see it. Times are UTC. Secret parameters and outputs are masked."""

    id: EnvironmentId
    name: ShownName
    owner: str
    template: ShownLabel
    template_version: str
    bundle: ShownDigest
    parameters: dict[str, Any] = Field(default_factory=dict)
    state: State
    state_since: datetime
    created_at: datetime
    deadline: datetime | None = None
    deadline_because: Because | None = None
    """What set the deadline; None: nothing did, or an older version of the service, which didn't record it."""
    rules: tuple[OwnRule, ...] = ()
    """Its own rules of the calendar, beside those of its template and of policies."""
    switch_at: datetime | None = None
    """When the calendar stops or starts it next; in the past while that waits for a deployment to end."""
    switch_action: TimedAction | None = None
    """What the calendar does then: `stop` or `start`."""
    switch_again_at: datetime | None = None
    """When a stop or a start that has failed is tried again; None: not."""
    pin: Pin | None = None
    """Its last pin; it has no effect after its end."""
    maximum_deadline: datetime | None = None
    warned: bool = False
    warn_at: datetime | None = None
    """When its owner is warned next; None: not any more, or never."""
    held_by: HoldId | None = None
    """The hold that keeps the clock from destroying it although its deadline has passed."""
    outputs: dict[str, OutputView] = Field(default_factory=dict)
    failure: Failure | None = None
    destroy_again_at: datetime | None = None
    destroyed_at: datetime | None = None
    managed_by: str | None = None
    last_good: DeploymentId | None = None
    """The deployment that last made it ready."""
    drifted: bool = False
    """Whether the last observation found that the backends differ from what its steps made."""
    awaiting_promotion: tuple[str, ...] = ()
    """Steps whose new version waits for `env promote`; addresses and outputs are still those of the version before."""
    degraded: tuple[DegradedReason, ...] = ()
    """Why a ready environment doesn't work as a whole, at this moment; empty: nothing is known to be wrong."""
    network: str = "bridge"
    """`bridge`: its jobs have networks of their own. `host`: they may use that of their node."""
    role: EnvironmentRole | None = None
    """What the caller is for it; None: that isn't told here."""
    may: tuple[str, ...] = ()
    """What the caller's role and token allow, as names of actions on environments, such as `update`."""
    shared: int = 0
    """How many people, groups and others it is shared with."""
    entry_points: tuple[EntryPointView, ...] = ()
    """Addresses at the edge; only when one environment is shown."""
    deployment: DeploymentView | None = None
    """The newest deployment; only when one environment is shown."""
    cost: float | None = None
    """What it has cost by the price of its template for an hour; None: that has none. Only when one is shown."""
    warnings: tuple[WarningView, ...] = ()
    """Those of the present deadline, oldest first; only when one environment is shown."""

    def coming_switch(self) -> tuple[TimedAction, datetime] | None:
        """The next stop or start by the calendar, and when; None if it would have no effect, or comes too late.

        `env explain` looks further.
        """
        if self.switch_at is None or self.switch_action is None:
            return None
        has_effect = self.switch_action is not (TimedAction.STOP if self.state in _RESTING else TimedAction.START)
        in_time = self.deadline is None or self.held_by is not None or self.switch_at <= self.deadline
        return (self.switch_action, self.switch_at) if has_effect and in_time else None


class OverviewView(View):
    """How many environments there are by state, of those that were asked for.

    `attention`: how many of them a person should look at.

    `newest`: template → digest of its newest version. `events_after`: this is from no earlier than the event of that
    id.
    """

    states: dict[State, int]
    attention: int
    newest: dict[str, str]
    events_after: int


class MomentView(View):
    """Something that will happen to an environment at a moment (UTC), and why.

    `attempt` above 1: a stop or a start that has failed is tried again then.
    """

    at: datetime
    action: TimedAction
    because: Because
    attempt: int = 1


class LeftOutView(View):
    """Something that a rule or a person says, and that won't happen at that moment (UTC), with what prevents it."""

    at: datetime
    action: TimedAction
    because: Because
    prevented: Prevented


class PastView(View):
    """Something that happened to an environment at a moment (UTC): its event's id, who asked for it, and why.

    `by` is `clock` for the calendar, and empty if it wasn't recorded. `because` is the rule or the person that decided,
    `state` that of the deployment.
    """

    id: int
    at: datetime
    action: PastAction
    by: str
    reason: str
    because: Because | None = None
    deployment_id: DeploymentId | None = None
    state: DeploymentState | None = None


class HeldView(View):
    """The hold that keeps the clock from destroying an environment, of what kind, and since when it is open."""

    hold: HoldId
    kind: HoldKind
    since: datetime


class ExplanationView(View):
    """What the calendar will do to an environment next, in order; nothing follows a destroy.

    `left_out` is what it doesn't do, since a week ago, if that was asked for. `past` is what happened to it, newest
    first. `zone_database` is the one in use. With `held` it isn't destroyed at its deadline until an admin decides.
    """

    environment: str
    moments: tuple[MomentView, ...]
    left_out: tuple[LeftOutView, ...] = ()
    past: tuple[PastView, ...] = ()
    pin: Pin | None = None
    held: HeldView | None = None
    zone_database: str = ""


class ResourceView(View):
    """A line of the inventory."""

    kind: str
    address: str
    step: str | None
    status: ResourceStatus
    detail: str = ""
    created_at: datetime
    updated_at: datetime


class DriftView(View):
    """What the last observation of an environment found; `drift` None: there was none since its last deployment."""

    environment: str
    drift: Drift | None
    observe_at: datetime | None = None
    """When the schedule of its template observes it next."""


class Accepted(View):
    """A request was taken: the environment as it is now, and the deployment to follow, if the request made one.

    `events_after`: all events of what the deployment does have larger ids. None: it may have begun already.
    """

    environment: EnvironmentView
    deployment_id: DeploymentId | None
    events_after: int | None = None


class CreateRequest(Request):
    """Asks for an environment. At most one of `ttl` (a duration such as `2h`) and `until` (a moment with offset)."""

    name: Name
    template: Label
    digest: Digest | None = None
    """A particular version of the template; None: the newest."""
    parameters: dict[Word, Any] = Field(default_factory=dict)
    ttl: Duration | None = None
    until: Moment | None = None
    rules: tuple[Word | RuleRequest, ...] = Field(default=(), max_length=MOST_RULES)
    """Rules of the calendar, such as `0 19 * * 1-5 Europe/Amsterdam`, each with what it does; a text destroys."""


class CheckProblemView(View):
    """Something that a request to create would be refused for, as its problem document would tell it."""

    code: Annotated[str, WithJsonSchema(shapes.CODE)]
    message: str
    hint: str = ""
    details: dict[str, Any] = Field(default_factory=dict)


class CheckView(View):
    """What a request to create would come to; no `problems`: it would be taken.

    `deadline`: when the environment would be destroyed if it were made now; None: not known, or there is none.
    """

    problems: tuple[CheckProblemView, ...] = ()
    deadline: datetime | None = None


class UpdateRequest(Request):
    """Asks to apply the newest (or the named) version of the environment's template, and changed parameters.

    `run_again` names steps whose batch jobs are to run again, though they have run to their end with the same inputs.
    """

    digest: Digest | None = None
    parameters: dict[Word, Any] | None = None
    run_again: tuple[Word, ...] = ()


class RollbackRequest(Request):
    """Goes back to the template version and parameters of an earlier deployment; None: the last good one."""

    deployment: Annotated[Word, WithJsonSchema(shapes.ROLLBACK)] | None = None


class AbandonRequest(Request):
    """Gives up what can't be destroyed; `reason` is kept."""

    reason: Text = Field(min_length=1)


class ExtendRequest(Request):
    """Moves the deadline. One of `by` (added to the deadline), `ttl` (from now), `until` (a moment)."""

    by: Duration | None = None
    ttl: Duration | None = None
    until: Moment | None = None


class HeartbeatView(View):
    """When an environment last said that it is in use."""

    at: datetime


class SwitchRequest(Request):
    """Asks to stop or to start; `reason` is kept in the history."""

    reason: Text = ""


class DestroyRequest(Request):
    """Asks to destroy now; `reason` is kept."""

    reason: Text = ""
