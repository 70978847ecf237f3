"""What the API shows and takes: one set of models for the service, the client, the command line and the TUI."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema

from environments.domain import shapes
from environments.domain.environment import DegradedReason, Drift, Failure
from environments.domain.faults import Fault
from environments.domain.lifecycle import (
    DeploymentKind,
    DeploymentState,
    ResourceStatus,
    State,
    StepState,
)
from environments.domain.plan import StepPlan
from environments.domain.template import LARGEST_BUNDLE


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("it is no moment in UTC that can be written") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A moment that somebody gives, with an offset; in UTC."""


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds the character U+0000, which can't be stored")
    return text


_NoNul = AfterValidator(_without_nul)

Word = Annotated[str, Field(max_length=1000), _NoNul]
"""A name, an id, a duration, a key, as somebody gives it: what reads it says what is right, this only ends it."""

Duration = Annotated[str, Field(max_length=256 * 1024), WithJsonSchema(shapes.DURATION)]
"""A duration such as `2h`, as somebody gives it. As long as a request may be: what reads it refuses, as
`invalid_lifetime`, all text that is no duration."""

Name = Annotated[Word, WithJsonSchema(shapes.ENVIRONMENT_NAME)]
Label = Annotated[Word, WithJsonSchema(shapes.LABEL)]
Digest = Annotated[Word, WithJsonSchema(shapes.DIGEST)]

Text = Annotated[str, Field(max_length=1000), _NoNul]
"""Words of a person that are kept and shown."""

LARGEST_FILE = LARGEST_BUNDLE * 4 // 3 + 4
"""Characters of a file in base64, when it is all that a template has."""


_CONTENT = {**shapes.BASE64, "maxLength": LARGEST_FILE}
_EnvironmentId = Annotated[str, WithJsonSchema(shapes.ENVIRONMENT_ID)]
_DeploymentId = Annotated[str, WithJsonSchema(shapes.DEPLOYMENT_ID)]
_PlanId = Annotated[str, WithJsonSchema(shapes.PLAN_ID)]
_TokenId = Annotated[str, WithJsonSchema(shapes.TOKEN_ID)]
_ShownLabel = Annotated[str, WithJsonSchema(shapes.LABEL)]
_ShownName = Annotated[str, WithJsonSchema(shapes.ENVIRONMENT_NAME)]
_ShownDigest = Annotated[str, WithJsonSchema(shapes.DIGEST)]


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StepView(_View):
    """A step of a deployment. Times are UTC."""

    name: _ShownLabel
    uses: str
    needs: tuple[_ShownLabel, ...] = ()
    state: StepState
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    failure: Failure | None = None


class DeploymentView(_View):
    """A deployment with its journal, steps in the order of the template."""

    id: _DeploymentId
    kind: DeploymentKind
    state: DeploymentState
    reason: str
    requested_by: str
    requested_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    failure: Failure | None = None
    worker: str | None = None
    plan_id: _PlanId | None = None
    cancel_requested_at: datetime | None = None
    cancel_requested_by: str | None = None
    steps: tuple[StepView, ...] = ()


class OutputView(_View):
    """An output; the value of a secret one is a mask unless it was revealed."""

    value: Any
    description: str = ""
    secret: bool = False


class EnvironmentView(_View):
    """An environment as people see it. Times are UTC. Secret parameters and outputs are masked."""

    id: _EnvironmentId
    name: _ShownName
    owner: str
    template: _ShownLabel
    template_version: str
    bundle: _ShownDigest
    parameters: dict[str, Any] = Field(default_factory=dict)
    state: State
    state_since: datetime
    created_at: datetime
    deadline: datetime | None = None
    maximum_deadline: datetime | None = None
    warned: bool = False
    outputs: dict[str, OutputView] = Field(default_factory=dict)
    failure: Failure | None = None
    destroy_again_at: datetime | None = None
    destroyed_at: datetime | None = None
    managed_by: str | None = None
    last_good: _DeploymentId | None = None
    """The deployment that last made it ready."""
    drifted: bool = False
    """Whether the last look found that the world differs from what its steps made."""
    awaiting_promotion: tuple[str, ...] = ()
    """Steps whose new version waits for `env promote`; addresses and outputs are still those of the version before."""
    degraded: tuple[DegradedReason, ...] = ()
    """Why a ready environment doesn't work as a whole, at this moment; empty: nothing is known to be wrong."""
    deployment: DeploymentView | None = None
    """The newest deployment; only when one environment is shown."""


class ResourceView(_View):
    """A line of the inventory."""

    kind: str
    address: str
    step: str | None
    status: ResourceStatus
    detail: str = ""
    created_at: datetime
    updated_at: datetime


class TemplateStepView(_View):
    """A step as its author wrote it, without its options."""

    name: _ShownLabel
    uses: str
    needs: tuple[_ShownLabel, ...] = ()


class TemplateSource(_View):
    """The git repository that a template came from: `ref` as it was asked for, `commit` as it was found then.

    `path` is the folder in it; empty: its root.
    """

    url: str
    ref: str
    commit: str
    path: str = ""


class TemplateView(_View):
    """A template of the catalogue; durations in seconds, `parameters_schema` is JSON Schema (draft 2020-12)."""

    name: _ShownLabel
    version: str
    description: str
    digest: _ShownDigest
    pushed_at: datetime
    pushed_by: str
    default_lifetime: float | None
    maximum_lifetime: float | None
    parameters_schema: dict[str, Any]
    steps: tuple[TemplateStepView, ...]
    outputs: dict[str, str]
    """Name → description."""
    host_volumes: tuple[str, ...] = ()
    """Folders and sockets of a node that its jobs may mount; with any, only an admin makes environments of it."""
    source: TemplateSource | None = None
    """None: it was pushed from a folder."""


class TemplateDeletionView(_View):
    """What was taken out of the catalogue; `digests` are the versions, newest first."""

    name: str
    digests: tuple[str, ...]
    deleted_at: datetime
    deleted_by: str


class ImageView(_View):
    """An image as it was published. `reference` names its content: `sha256:<hex>` or `<repository>@sha256:<hex>`.

    `channel` says how far it has come (`qa`, `production`), `key` and `build` which inputs and which build made it.
    """

    name: _ShownLabel
    reference: Annotated[str, WithJsonSchema(shapes.REFERENCE)]
    channel: _ShownLabel
    key: str = ""
    build: str = ""
    published_at: datetime
    published_by: str
    withdrawn_at: datetime | None = None
    withdrawn_by: str | None = None


class PlanView(_View):
    """A saved plan: what will be done, step by step. See `environments.domain.plan`."""

    id: _PlanId
    kind: DeploymentKind
    environment: _ShownName
    template: _ShownLabel
    template_version: str
    bundle: _ShownDigest
    parameters: dict[str, Any] = Field(default_factory=dict)
    requested_by: str
    created_at: datetime
    expires_at: datetime
    used_by: str | None = None
    steps: tuple[StepPlan, ...] = ()
    deadline: datetime | None = None
    """For a create: when the environment will be destroyed, if it is made at `created_at`."""
    lifetime: float | None = None
    """Seconds after its creation until then; None: the deadline doesn't depend on that, or there is none."""


class DriftView(_View):
    """What the last look at an environment found; `drift` None: nobody has looked since its last deployment."""

    environment: str
    drift: Drift | None
    observe_at: datetime | None = None
    """When the schedule of its template observes it next."""


class PendingView(_View):
    """Why a deployment doesn't run yet, or what it does. `position` 1: the next of its lane; None: it doesn't wait.

    `lane` is `destroy` or `deploy`; `reasons` are sentences.
    """

    deployment_id: _DeploymentId
    state: DeploymentState
    lane: str
    position: int | None = None
    waiting: int = 0
    """How many wait in the lane, this one included."""
    reasons: tuple[str, ...] = ()


class WorkerView(_View):
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


class Accepted(_View):
    """A request was taken: the environment as it is now, and the deployment to follow, if the request made one.

    `events_after`: all events of what the deployment does have larger ids. None: it may have begun already.
    """

    environment: EnvironmentView
    deployment_id: _DeploymentId | None
    events_after: int | None = None


class TokenView(_View):
    """A token without its secret part. `role`: an admin sees and does everything, a user has own environments.

    `parent_id` is the token that it was made with, and ends with.
    """

    id: _TokenId
    owner: str
    role: Literal["admin", "user"]
    note: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    parent_id: _TokenId | None = None


class NewToken(_View):
    """A token just made; `secret` is shown this once."""

    token: TokenView
    secret: str


class Info(_View):
    """What answers: version, who asks, and where the service's parts are."""

    version: str
    started_at: datetime
    now: datetime
    owner: str
    role: Literal["admin", "user"]
    step_kinds: tuple[str, ...]
    parts: dict[str, str]
    """Part (consul, nomad, openbao, database) → address; empty when it isn't known yet."""


class CreateRequest(_Request):
    """Asks for an environment. At most one of `ttl` (a duration such as `2h`) and `until` (a moment with offset)."""

    name: Name
    template: Label
    digest: Digest | None = None
    """A particular version of the template; None: the newest."""
    parameters: dict[Word, Any] = Field(default_factory=dict)
    ttl: Duration | None = None
    until: Moment | None = None


class UpdateRequest(_Request):
    """Asks to apply the newest (or the named) version of the environment's template, and changed parameters.

    `run_again` names steps whose batch jobs are to run again, though they have run to their end with the same inputs.
    """

    digest: Digest | None = None
    parameters: dict[Word, Any] | None = None
    run_again: tuple[Word, ...] = ()


class PlanRequest(_Request):
    """Asks what a change would do; the plan is saved, and can be applied as shown.

    Create takes `template`, `digest`, `parameters`, `ttl` and `until`; update `digest`, `parameters` and `run_again`;
    repair, promote and destroy nothing. `rollback_to` (a deployment's id, or `last-good`) makes the update one back to
    what that applied.
    """

    kind: DeploymentKind
    template: Label | None = None
    digest: Digest | None = None
    parameters: dict[Word, Any] | None = None
    ttl: Duration | None = None
    until: Moment | None = None
    rollback_to: Annotated[Word, WithJsonSchema(shapes.ROLLBACK)] | None = None
    run_again: tuple[Word, ...] | None = None


class RollbackRequest(_Request):
    """Goes back to the template version and parameters of an earlier deployment; None: the last good one."""

    deployment: Annotated[Word, WithJsonSchema(shapes.ROLLBACK)] | None = None


class CancelRequest(_Request):
    """Asks the running deployment to stop; `force` cuts the grace of what runs short."""

    force: bool = False


class AbandonRequest(_Request):
    """Gives up what can't be destroyed; `reason` is kept."""

    reason: Text = Field(min_length=1)


class ExtendRequest(_Request):
    """Moves the deadline. One of `by` (added to the deadline), `ttl` (from now), `until` (a moment)."""

    by: Duration | None = None
    ttl: Duration | None = None
    until: Moment | None = None


class DestroyRequest(_Request):
    """Asks to destroy now; `reason` is kept."""

    reason: Text = ""


class PushRequest(_Request):
    """A template's files: relative path → content in base64."""

    files: dict[Word, Annotated[str, Field(max_length=LARGEST_FILE), WithJsonSchema(_CONTENT)]]


class GitPushRequest(_Request):
    """Asks for a template out of a git repository, which the service reads itself.

    `ref` is a tag, a branch or a commit; None: the repository's own default branch. `path` is the template's folder.
    """

    url: Annotated[str, _NoNul] = Field(min_length=1, max_length=1000)
    ref: Annotated[str, Field(min_length=1, max_length=200), _NoNul, WithJsonSchema(shapes.REVISION)] | None = None
    path: Annotated[str, _NoNul] = Field(default="", max_length=500)


class PublishImageRequest(_Request):
    """Says which image stands behind a name from now on; see `ImageView`."""

    reference: Annotated[Word, WithJsonSchema(shapes.REFERENCE)]
    channel: Label
    key: Annotated[str, _NoNul] = Field(default="", max_length=200)
    build: Annotated[str, _NoNul] = Field(default="", max_length=200)


class TokenRequest(_Request):
    """Asks for a token for `owner`; `ttl` None: until it is revoked."""

    owner: Annotated[Word, WithJsonSchema(shapes.OWNER)]
    role: Literal["admin", "user"] = "user"
    note: Text = ""
    ttl: Duration | None = None


class Problem(_View):
    """A problem document (RFC 9457); `type` ends with the stable code."""

    type: str
    title: str
    status: int
    detail: str
    code: Annotated[str, WithJsonSchema(shapes.CODE)]
    hint: str = ""
    details: dict[str, Any] = Field(default_factory=dict)


class Validation(_View):
    """What is wrong with a template: `problems` keep it from being pushed, `warnings` don't.

    `faults` has both, with file, line, column and suggestion apart.
    """

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()

    @classmethod
    def of(cls, faults: Sequence[Fault], warnings: Sequence[str] = ()) -> "Validation":
        """The view of these faults, and of warnings that are of no place."""
        return cls(
            problems=tuple(str(fault) for fault in faults if not fault.warning),
            warnings=(*(str(fault) for fault in faults if fault.warning), *warnings),
            faults=tuple(faults),
        )


class Readiness(_View):
    """Whether the service can do its work: a sentence for each part that keeps it from that."""

    ready: bool
    problems: dict[str, str] = Field(default_factory=dict)
