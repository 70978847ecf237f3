"""The overview: all environments that one may see."""

from starlette.responses import Response

from environments.ui.answers import page
from environments.ui.visit import Visit

PAGE_SIZE = 50


def show(visit: Visit) -> Response:
    """A page of the list."""
    before = visit.asked("before") or None
    found = visit.client.environments(limit=PAGE_SIZE + 1, before=before)
    more = found[PAGE_SIZE - 1].id if len(found) > PAGE_SIZE else None
    return page(visit, "overview.html", environments=found[:PAGE_SIZE], more=more)


PAGES = (("GET", "/", show),)
