"""The overview: all environments that one may see."""

from collections.abc import Sequence

from starlette.responses import Response

from environments.domain.environment import Event
from environments.domain.errors import UnknownEnvironment
from environments.ui.answers import html, page
from environments.ui.live import follow, part
from environments.ui.visit import Visit

PAGE_SIZE = 50


def show(visit: Visit) -> Response:
    """A page of the list."""
    before = visit.asked("before") or None
    found = visit.client.environments(limit=PAGE_SIZE + 1, before=before)
    more = found[PAGE_SIZE - 1].id if len(found) > PAGE_SIZE else None
    return page(visit, "overview.html", environments=found[:PAGE_SIZE], more=more)


def live(visit: Visit) -> Response:
    """Changes of the environments on a page, whose ids are given."""
    shown = frozenset(visit.asked("ids").split(",")[: 2 * PAGE_SIZE])

    def render(events: Sequence[Event]) -> str:
        parts = []
        for id in dict.fromkeys(event.environment_id for event in events) or sorted(shown):
            try:
                view = visit.client.environment(f"id:{id}")
            except UnknownEnvironment:
                continue
            parts.append(part(f"env-{id}", html(visit, "overview_row.html", view=view)))
        return "".join(parts)

    return follow(visit, render, wanted=lambda event: event.environment_id in shown)


PAGES = (("GET", "/", show), ("GET", "/live", live))
