"""One environment: what it is now, what happened to it, and what can be done."""

from starlette.responses import Response

from environments.ui.answers import page
from environments.ui.visit import Visit


def show(visit: Visit) -> Response:
    """What it is now."""
    return page(visit, "environment.html", view=visit.client.environment(visit.params["name"]))


PAGES = (("GET", "/environments/{name}", show),)
