"""Saved plans in the API."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from environments.domain import shapes
from environments.domain.lifecycle import DeploymentKind
from environments.domain.plan import StepPlan
from environments.domain.template_parts import MOST_RULES
from environments.wire.fields import (
    Digest,
    Duration,
    Label,
    Moment,
    PlanId,
    Request,
    ShownDigest,
    ShownLabel,
    ShownName,
    View,
    Word,
)
from environments.wire.timing import RuleRequest


class PlanView(View):
    """A saved plan: what will be done, step by step. See `environments.domain.plan`."""

    id: PlanId
    kind: DeploymentKind
    environment: ShownName
    template: ShownLabel
    template_version: str
    bundle: ShownDigest
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


class PlanRequest(Request):
    """Asks what a change would do; the plan is saved, and can be applied as shown.

    Create takes `template`, `digest`, `parameters`, `ttl`, `until` and `rules`; update `digest`, `parameters` and
    `run_again`; repair, promote and destroy nothing. `rollback_to` (a deployment's id, or `last-good`) makes the
    update one back to what that applied.
    """

    kind: DeploymentKind
    template: Label | None = None
    digest: Digest | None = None
    parameters: dict[Word, Any] | None = None
    ttl: Duration | None = None
    until: Moment | None = None
    rules: tuple[Word | RuleRequest, ...] | None = Field(default=None, max_length=MOST_RULES)
    rollback_to: Annotated[Word, WithJsonSchema(shapes.ROLLBACK)] | None = None
    run_again: tuple[Word, ...] | None = None
