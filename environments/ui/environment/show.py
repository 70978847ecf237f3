"""What an environment is now: the first page of it, and its secrets for whoever may see them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from environments.actions.refusal import refusal
from environments.actions.registry import action
from environments.domain.environment import Event, EventType
from environments.domain.errors import CalvinverseError, Unauthenticated
from environments.domain.lifecycle import DeploymentState
from environments.ui.answers import html
from environments.ui.environment import facts
from environments.ui.environment.common import environment_page, found, meant, offers, path_of
from environments.ui.faults import status_of
from environments.ui.live import follow, part, told
from environments.ui.step_graph import graph
from environments.ui.visit import Visit
from environments.wire.deployments import PendingView
from environments.wire.environments import EnvironmentView, ExplanationView, OutputView
from environments.words import RESOURCES, STATES

SECTIONS = ("alerts", "actions", "facts", "outputs", "parameters", "steps", "resources")
"""Parts of the page, each with a template and an id of its own."""


def show(visit: Visit) -> Response:
    """What it is now."""
    return _shown(visit, found(visit))


def reveal(visit: Visit) -> Response:
    """The same page with its secrets: it isn't kept by the browser, and its address shows nothing."""
    view = meant(visit)
    try:
        revealed = visit.client.outputs(view.id, reveal=True)
    except Unauthenticated:
        raise
    except CalvinverseError as error:
        return _shown(visit, view, error=error)
    return _shown(visit, view, {name: output for name, output in revealed.items() if output.secret})


def _shown(
    visit: Visit,
    view: EnvironmentView,
    revealed: dict[str, OutputView] | None = None,
    error: CalvinverseError | None = None,
) -> Response:
    return environment_page(
        visit,
        view,
        "show.html",
        status=200 if error is None else status_of(error),
        error=error,
        sections=SECTIONS,
        **_values(visit, view, revealed or {}),
    )


def _values(visit: Visit, view: EnvironmentView, revealed: Mapping[str, OutputView]) -> dict[str, Any]:
    """What the sections of the page show."""
    newest = view.deployment
    first = facts.ways_on(view)
    offered = sorted(offers(visit, view), key=lambda one: first.index(one.action.id) if one.action.id in first else 99)
    return {
        "deadline": list(facts.deadline_facts(visit, view, _explained(visit, view))),
        "role": facts.role_line(view),
        "newer": _newer(visit, view),
        "possible": [one for one in offered if not one.refused],
        "refused": [one for one in offered if one.refused],
        "revealed": revealed,
        "secrets": [name for name, output in view.outputs.items() if output.secret],
        "may_not_reveal": refusal(action("environment.outputs"), view),
        "progress": facts.progress(newest),
        "steps": facts.step_rows(newest, visit.now),
        "graph": graph(newest.steps) if newest is not None else None,
        "pending": _pending(visit, view),
        "resources": [(RESOURCES[one.status], one) for one in visit.client.resources(view.id)],
    }


def live(visit: Visit) -> Response:
    """Sections of the page as they change; each only when it differs from what was shown."""
    first = found(visit)
    shown: dict[str, str] = {}

    def render(events: Sequence[Event]) -> str:
        view = visit.client.environment(f"id:{first.id}")
        now = replace(visit, now=visit.clock())
        values = {"view": view, "here": path_of(visit, view), **_values(now, view, {})}
        parts = []
        for section in ("state", *SECTIONS):
            made = html(now, f"environment/now/{section}.html", **values)
            if shown.get(section) != made:
                shown[section] = made
                parts.append(part(f"env-{section}", made))
        if any(event.type is EventType.ENVIRONMENT_STATE for event in events):
            parts.append(told(f"{view.name} is {STATES[view.state].word}."))
        return "".join(parts)

    return follow(visit, render, environment=first.id)


def _explained(visit: Visit, view: EnvironmentView) -> ExplanationView | None:
    """Why it is held; asked for only then."""
    return visit.client.explain(view.id, 1) if view.held_by is not None else None


def _newer(visit: Visit, view: EnvironmentView) -> str:
    """The newest version of its template, if it has another one."""
    try:
        newest = visit.client.template(view.template)
    except Unauthenticated:
        raise
    except CalvinverseError:
        return ""  # the template is gone; the page of the environment doesn't need it
    return newest.version if newest.digest != view.bundle else ""


def _pending(visit: Visit, view: EnvironmentView) -> PendingView | None:
    """Why its deployment waits."""
    newest = view.deployment
    if newest is None or newest.state is not DeploymentState.QUEUED:
        return None
    return visit.client.why(newest.id)


PAGES = (
    ("GET", "/environments/{name}", show),
    ("GET", "/environments/{name}/live", live),
    ("POST", "/environments/{name}/reveal", reveal),
)
