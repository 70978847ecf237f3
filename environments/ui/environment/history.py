"""What happened to an environment and what the calendar will do, with the reasons; and its deployments."""

from datetime import datetime
from functools import partial
from typing import Any

from starlette.responses import Response

from environments.domain.errors import NotFound
from environments.domain.timing import TimedAction
from environments.moments import countdown, moment, taken
from environments.timing_words import HAPPENED, WHAT, happened_because, held, on_behalf_of, reason_of_attempt, why_not
from environments.ui.answers import page
from environments.ui.environment import facts
from environments.ui.environment.common import environment_page, found, path_of, told
from environments.ui.environment.planned import plan_sections
from environments.ui.listing import Cell, Facts, Link, Section, Table
from environments.ui.step_graph import graph
from environments.ui.visit import Visit
from environments.wire.deployments import DeploymentView
from environments.wire.environments import EnvironmentView, ExplanationView
from environments.words import DEPLOYMENTS

MOMENTS = 10
"""Moments that are shown of what is to come."""

PAST = 50
DEPLOYMENTS_SHOWN = 100


def show(visit: Visit) -> Response:
    """The timeline: what is to come, what won't come and why not, deployments, and what happened."""
    view = found(visit)
    explained = visit.client.explain(view.id, MOMENTS, why_not=True, past=PAST)
    deployments = visit.client.deployments(view.id)
    rows = [_deployment_row(visit, view, one) for one in deployments[:DEPLOYMENTS_SHOWN]]
    titles = ["Deployment", "Kind", "State", "Requested", "By", "Took", "Why"]
    more = f", the newest {DEPLOYMENTS_SHOWN}" if len(deployments) > DEPLOYMENTS_SHOWN else ""
    return told(
        visit,
        view,
        "history",
        "History",
        [
            *coming(visit, explained),
            Table(titles, rows, "There are none.", f"Deployments{more}"),
            _past(visit, explained),
        ],
    )


def coming(visit: Visit, explained: ExplanationView) -> list[Section]:
    """What the calendar will do, as the service computes it, and what it won't do."""
    rows: list[list[Cell]] = []
    for due in explained.moments:
        left = due.at - visit.now
        soon = f"in {countdown(left)}" if left.total_seconds() > 0 else "due now"
        rows.append([due.at, soon, _what(due.action), reason_of_attempt(due.because, due.attempt)])
    sections: list[Section] = []
    if explained.held is not None:
        sections.append(Facts([("Held", held(explained.held.hold, explained.held.kind))]))
    none = "Nothing: it lives until somebody destroys it."
    sections.append(Table(["When", "In", "What", "Because"], rows, none, "What the calendar will do"))
    if explained.left_out:
        told_moment = partial(moment, zone=visit.zone)
        left_out: list[list[Cell]] = [
            [one.at, _what(one.action), why_not(one.prevented, told_moment)] for one in explained.left_out
        ]
        sections.append(Table(["When", "What", "Not, because"], left_out, "", "What does not happen"))
    return sections


def _past(visit: Visit, explained: ExplanationView) -> Section:
    rows: list[list[Cell]] = []
    for one in explained.past:
        state = "" if one.state is None else f", {one.state.value}"
        rows.append(
            [
                one.at,
                f"{HAPPENED[one.action]}{state}",
                on_behalf_of(one.by, one.because),
                happened_because(one.action, one.because, one.reason),
                Link(one.deployment_id, f"/deployments/{one.deployment_id}") if one.deployment_id else None,
            ]
        )
    return Table(["When", "What", "By", "Why", "Deployment"], rows, "Nothing is recorded.", "What happened")


def _what(action: TimedAction) -> str:
    return WHAT[action] if action is TimedAction.WARN else f"it {WHAT[action]}"


def _deployment_row(visit: Visit, view: EnvironmentView, one: DeploymentView) -> list[Cell]:
    path = path_of(visit, view, f"deployments/{one.id}")
    return [
        Link(one.id, path),
        one.kind.value,
        DEPLOYMENTS[one.state],
        one.requested_at,
        on_behalf_of(one.requested_by, one.because),
        _took(one, visit.now),
        one.reason,
    ]


def _took(one: DeploymentView, now: datetime) -> str:
    return "" if one.started_at is None else taken((one.ended_at or now) - one.started_at)


def show_deployment(visit: Visit) -> Response:
    """One deployment of an environment, with its steps and its plan."""
    view = found(visit)
    one = visit.client.deployment(visit.params["id"])
    if all(one.id != known.id for known in visit.client.deployments(view.id)):
        raise NotFound(f"{view.name} has no such deployment.", hint="Go to its history.")
    return environment_page(visit, view, "deployment.html", "history", **_values(visit, one))


def show_any_deployment(visit: Visit) -> Response:
    """One deployment, whatever its environment."""
    return page(visit, "deployment.html", **_values(visit, visit.client.deployment(visit.params["id"])))


def _values(visit: Visit, one: DeploymentView) -> dict[str, Any]:
    lines: list[tuple[str, Cell]] = [
        ("State", DEPLOYMENTS[one.state]),
        ("Kind", one.kind.value),
        ("Why", one.reason),
        ("Requested by", on_behalf_of(one.requested_by, one.because)),
        ("Requested", one.requested_at),
        ("Began", one.started_at),
        ("Ended", one.ended_at),
        ("Took", _took(one, visit.now)),
        ("Worker", one.worker),
        ("Cancellation requested by", one.cancel_requested_by),
    ]
    if one.failure is not None:
        lines += [("Failure", one.failure.message), ("What to do", one.failure.hint)]
    return {
        "deployment": one,
        "title": f"Deployment {one.id}",
        "known": Facts(lines),
        "steps": facts.step_rows(one, visit.now),
        "graph": graph(one.steps),
        "plan": _plan(visit, one),
    }


def _plan(visit: Visit, one: DeploymentView) -> list[Section]:
    """The plan that it applied; nothing without one, and after it was pruned."""
    if one.plan_id is None:
        return []
    try:
        return list(plan_sections(visit.client.saved_plan(one.plan_id).steps))
    except NotFound:
        return []


PAGES = (
    ("GET", "/environments/{name}/history", show),
    ("GET", "/environments/{name}/deployments/{id}", show_deployment),
    ("GET", "/deployments/{id}", show_any_deployment),
)
