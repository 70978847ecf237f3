"""Saved plans: what a change would do, step by step; applied as shown, or planned again when something has moved."""

from collections.abc import Sequence

from starlette.responses import Response

from environments.domain.errors import CalvinverseError, InvalidInput, PlanStale, Unauthenticated, UnknownTemplate
from environments.domain.lifecycle import DeploymentKind
from environments.domain.plan import Action, checked, distinct, summary, unchanged
from environments.schemas.typed import typed_text
from environments.ui.answers import go, page
from environments.ui.asking import Ask, Field, pages_of
from environments.ui.environment.common import found, path_of
from environments.ui.faults import status_of
from environments.ui.listing import place
from environments.ui.visit import Visit
from environments.wire.plans import PlanRequest, PlanView

_LONGEST_LINK = 6_000
_KINDS = (
    (DeploymentKind.REPAIR, "repair: restore what differs from what its steps made"),
    (DeploymentKind.PROMOTE, "promote: let the new version replace the one before"),
    (DeploymentKind.DESTROY, "destroy: remove everything that belongs to it"),
)


def show(visit: Visit) -> Response:
    """What the plan would do."""
    return _draw(visit, visit.client.saved_plan(visit.params["id"]))


def apply(visit: Visit) -> Response:
    """Applies it; sent twice, it is applied once. A plan that destroys asks for the environment's name first."""
    plan = visit.client.saved_plan(visit.params["id"])
    try:
        if plan.kind is DeploymentKind.DESTROY and visit.typed("confirm").strip() != plan.environment:
            raise InvalidInput(f"This isn't {plan.environment!r}, and nothing was done.", hint="Type it as shown.")
        made = visit.client.apply_plan(plan.id, idempotency_key=f"page-{plan.id}")
    except Unauthenticated:
        raise
    except CalvinverseError as error:
        return _draw(visit, plan, status_of(error), error)
    return go(place("environments", made.environment.name, done="plan.apply"))


def again_path(visit: Visit, plan: PlanView) -> str:
    """Where such a plan is made again: the form with the same parameters, as far as they aren't secret."""
    if plan.kind not in (DeploymentKind.CREATE, DeploymentKind.UPDATE):
        return visit.link(place("environments", plan.environment, "plan"), kind=plan.kind.value)
    try:
        schemas = visit.client.template(plan.template, plan.bundle).parameters_schema.get("properties", {})
    except UnknownTemplate:
        schemas = {}
    asked = {
        f"p.{name}": typed_text(value, schemas[name]) for name, value in plan.parameters.items() if name in schemas
    }
    if sum(map(len, asked.values())) > _LONGEST_LINK:
        asked = {}
    if plan.kind is DeploymentKind.CREATE:
        return visit.link("/environments/new", template=plan.template, name=plan.environment, **asked)
    return visit.link(place("environments", plan.environment, "update"), **asked)


def _draw(visit: Visit, plan: PlanView, status: int = 200, error: CalvinverseError | None = None) -> Response:
    steps = distinct(plan.steps)
    moved = error.details.get("moved") if isinstance(error, PlanStale) else None
    return page(
        visit,
        "plan.html",
        status,
        plan=plan,
        steps=[step for step in steps if step.changes or (step.deferred and not step.checks)],
        quiet={"Unchanged": unchanged(steps), "Will be checked": checked(steps)},
        summary=summary(steps).capitalize(),
        loses=any(one.action in (Action.DESTROY, Action.REPLACE) for step in steps for one in step.changes),
        again=again_path(visit, plan),
        link=f"{visit.origin}/plans/{plan.id}",
        error=error,
        stale=isinstance(error, PlanStale),
        moved=_others(moved, error),
    )


def _others(moved: object, error: CalvinverseError | None) -> Sequence[str]:
    """What has moved, as far as the error's sentence doesn't say it."""
    if not isinstance(moved, list) or error is None:
        return ()
    return [str(one) for one in moved if str(one) not in error.message]


def _asking(visit: Visit) -> Ask:
    view = found(visit)
    return Ask(
        "plan.show",
        f"Plan a change of {view.name}",
        ["It is shown what would be done, step by step. Nothing is changed by that."],
        path_of(visit, view),
        [Field("kind", "What", "choice", "repair", options=[(kind.value, words) for kind, words in _KINDS])],
        button="Show what it would do",
    )


def _doing(visit: Visit) -> Response:
    wanted = next((kind for kind, _ in _KINDS if kind.value == visit.typed("kind")), None)
    if wanted is None:
        raise InvalidInput("There is no such kind of plan.", hint="Choose one of those that are named.")
    plan = visit.client.plan(found(visit).id, PlanRequest(kind=wanted))
    return go(f"/plans/{plan.id}")


PAGES = (
    ("GET", "/plans/{id}", show),
    ("POST", "/plans/{id}", apply),
    *pages_of("/environments/{name}/plan", _asking, _doing),
)
