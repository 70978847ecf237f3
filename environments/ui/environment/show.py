"""What an environment is now: the first page of it, and its secrets for whoever may see them."""

from starlette.responses import Response

from environments.actions.refusal import refusal
from environments.actions.registry import action
from environments.domain.errors import CalvinverseError, Unauthenticated
from environments.domain.lifecycle import DeploymentState
from environments.ui.environment import facts
from environments.ui.environment.common import environment_page, found, meant, offers
from environments.ui.faults import status_of
from environments.ui.step_graph import graph
from environments.ui.visit import Visit
from environments.wire.deployments import PendingView
from environments.wire.environments import EnvironmentView, ExplanationView, OutputView
from environments.words import RESOURCES


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
    newest = view.deployment
    resources = visit.client.resources(view.id)
    first = facts.ways_on(view)
    offered = sorted(offers(visit, view), key=lambda one: first.index(one.action.id) if one.action.id in first else 99)
    return environment_page(
        visit,
        view,
        "show.html",
        status=200 if error is None else status_of(error),
        error=error,
        deadline=list(facts.deadline_facts(visit, view, _explained(visit, view))),
        role=facts.role_line(view),
        newer=_newer(visit, view),
        possible=[one for one in offered if not one.refused],
        refused=[one for one in offered if one.refused],
        revealed=revealed or {},
        secrets=[name for name, output in view.outputs.items() if output.secret],
        may_not_reveal=refusal(action("environment.outputs"), view),
        progress=facts.progress(newest),
        steps=facts.step_rows(newest, visit.now),
        graph=graph(newest.steps) if newest is not None else None,
        pending=_pending(visit, view),
        resources=[(RESOURCES[one.status], one) for one in resources],
    )


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


PAGES = (("GET", "/environments/{name}", show), ("POST", "/environments/{name}/reveal", reveal))
