"""Repair, promote and roll back an environment: the plan is shown first, and applied as it was shown."""

from collections.abc import Callable, Iterator, Sequence

from starlette.responses import Response

from environments.domain.errors import NotFound
from environments.domain.lifecycle import SWITCHES, DeploymentKind, DeploymentState
from environments.domain.plan import StepPlan, checked, distinct, summary, unchanged
from environments.moments import moment
from environments.ui.answers import go
from environments.ui.asking import Ask, Asking, Doing, Field, pages_of
from environments.ui.environment.common import asks, found, goes_further_back, meant, path_of
from environments.ui.listing import Cell, Code, Section, Table
from environments.ui.visit import Visit
from environments.wire.environments import EnvironmentView
from environments.wire.plans import PlanRequest, PlanView
from environments.words import PLAN_ACTIONS, one_line

Fields = Callable[[Visit, EnvironmentView], Iterator[Field]]
Requesting = Callable[[Visit], PlanRequest]

_MOST = 50
"""Deployments of the choice."""

_LAST_GOOD = "last-good"


def plan_sections(steps: Sequence[StepPlan]) -> Iterator[Section]:
    """What each step will do, each thing once."""
    steps = distinct(steps)
    rows: list[list[Cell]] = []
    for step in steps:
        gone = ", no longer in the template" if step.removed else ""
        if step.deferred and not step.checks:
            rows.append([step.step, None, step.uses, None, f"{step.deferred}{gone}"])
        for change in step.changes:
            said = f"{'; '.join(change.details)}{gone}"
            rows.append([step.step, PLAN_ACTIONS[change.action], change.kind, Code(change.address), said])
    yield Table(
        ["Step", "Does", "Kind", "Address", "What differs"], rows, "Nothing will be changed.", "What will be done"
    )
    for what, names in {"Unchanged": unchanged(steps), "Will be checked": checked(steps)}.items():
        if names:
            yield Table([what], [[", ".join(names)]], "")


def _plan_of(visit: Visit, view: EnvironmentView) -> PlanView | None:
    """The plan that the address names. Raises `UnknownPlan`, and `NotFound` for one of another environment."""
    wanted = visit.typed("plan") or visit.asked("plan")
    if not wanted:
        return None
    plan = visit.client.saved_plan(wanted)
    if plan.environment != view.name:
        raise NotFound(f"There is no such plan of {view.name}.", hint="Plan again.")
    return plan


def _asking(id: str, verb: str, says: str, fields: Fields) -> Asking:
    def asking(visit: Visit) -> Ask:
        view = found(visit)
        title = f"{verb} {view.name}"
        plan = _plan_of(visit, view)
        if plan is None:
            first = "First it is shown what would be done; nothing is changed by that."
            return asks(
                visit, view, id, title, [says, first], list(fields(visit, view)), button="Show what it would do"
            )
        until = moment(plan.expires_at, visit.zone)
        told = [f"{summary(plan.steps).capitalize()}.", f"Saved until {until} as {plan.id}."]
        loses = any(change.action.value in ("destroy", "replace") for step in plan.steps for change in step.changes)
        return asks(
            visit,
            view,
            id,
            title,
            told,
            [Field("plan", kind="hidden", value=plan.id)],
            button="Apply",
            danger=loses,
            sections=list(plan_sections(plan.steps)),
        )

    return asking


def _doing(part: str, request: Requesting) -> Doing:
    def doing(visit: Visit) -> Response | None:
        view = meant(visit)
        plan = visit.typed("plan")
        if not plan:
            made = visit.client.plan(view.id, request(visit))
            return go(f"{path_of(visit, view, part)}?plan={made.id}")
        visit.client.apply_plan(plan, idempotency_key=f"page-{plan}")  # sent twice, it is the same request
        return None

    return doing


def _none(visit: Visit, view: EnvironmentView) -> Iterator[Field]:
    yield from ()


def _earlier(visit: Visit, view: EnvironmentView) -> Iterator[Field]:
    """What it can go back to."""
    options = [] if goes_further_back(view) or view.last_good is None else [(_LAST_GOOD, "the last good deployment")]
    for one in visit.client.deployments(view.id)[:_MOST]:
        applied = one.kind is not DeploymentKind.DESTROY and one.kind not in SWITCHES
        if applied and one.state is DeploymentState.SUCCEEDED and one.id != view.last_good:
            at = moment(one.ended_at or one.requested_at, visit.zone)
            options.append((one.id, f"{one.id}: {one.kind.value} of {at}, {one_line(one.reason)[:60]}"))
    if options:
        yield Field("to", "To", "choice", options[0][0], options=options)
    else:
        yield Field("to", "To", help="The id of an earlier deployment that has succeeded; no other one is known.")


def _repairs(visit: Visit) -> PlanRequest:
    return PlanRequest(kind=DeploymentKind.REPAIR)


def _promotes(visit: Visit) -> PlanRequest:
    return PlanRequest(kind=DeploymentKind.PROMOTE)


def _goes_back(visit: Visit) -> PlanRequest:
    return PlanRequest(kind=DeploymentKind.UPDATE, rollback_to=visit.typed("to").strip()[:200] or _LAST_GOOD)


PAGES = (
    *pages_of(
        "/environments/{name}/repair",
        _asking("environment.repair", "Repair", "What differs from what its steps made is restored.", _none),
        _doing("repair", _repairs),
    ),
    *pages_of(
        "/environments/{name}/promote",
        _asking("environment.promote", "Promote", "The new version replaces the one before.", _none),
        _doing("promote", _promotes),
    ),
    *pages_of(
        "/environments/{name}/rollback",
        _asking(
            "environment.rollback",
            "Roll back",
            "It goes back to the template version and parameters of an earlier deployment.",
            _earlier,
        ),
        _doing("rollback", _goes_back),
    ),
)
