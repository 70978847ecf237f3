"""The overview: all environments that one may see, filtered, sorted, in pages, and live."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from html import escape
from typing import Any

from starlette.responses import Response

from environments.client import Filters
from environments.domain.environment import Event, EventType
from environments.ui.answers import fragment, go, html, page
from environments.ui.live import follow, part, told
from environments.ui.overview_filters import ENDS, WHOSE, Asked, asked
from environments.ui.visit import Visit
from environments.wire.environments import EnvironmentView
from environments.words import STATES

PAGE_SIZE = 50
MOST_NEW = 20
"""New environments that are counted; beyond that there are "more"."""

_COMING = {EventType.ENVIRONMENT_REQUESTED, EventType.ENVIRONMENT_SHARED, EventType.ENVIRONMENT_TRANSFERRED}
_CHANGING = {EventType.ENVIRONMENT_STATE, EventType.ENVIRONMENT_DEGRADED, EventType.ENVIRONMENT_DRIFT}
_COUNTED = _COMING | _CHANGING
_NO_ROW = {EventType.STEP_STATE, EventType.RESOURCE_STATUS, EventType.LOG}


def show(visit: Visit) -> Response:
    """A page of the list; for a script that has changed a filter, the list without what is around it."""
    wanted = asked(visit)
    if visit.asked("before"):
        return _previous(visit, wanted, visit.asked("before"))
    filters = wanted.filters(visit.now)
    counts = visit.client.overview(replace(filters, states=""))  # first: the stream begins behind it
    found, more = visit.client.environments_page(
        filters, sort=wanted.order(), after=visit.asked("after") or None, limit=PAGE_SIZE, outputs=True
    )
    values: dict[str, Any] = {
        "asked": wanted,
        "counts": counts,
        "environments": found,
        "newest": counts.newest,
        "more": wanted.link(after=more) if more else "",
        "previous": wanted.link(before=visit.asked("after")) if visit.asked("after") else "",
        "live": _stream(visit, wanted, found, counts.events_after),
        "states": STATES,
        "ends": ENDS,
        "whose": WHOSE,
    }
    if not visit.htmx:
        return page(visit, "overview.html", **values)
    answer = fragment(visit, "overview_list.html", **values)
    answer.headers["HX-Push-Url"] = wanted.link(after=visit.asked("after"))
    return answer


def _previous(visit: Visit, wanted: Asked, end: str) -> Response:
    """To the page that ends where the next one begins; to the first one, if not more come before."""
    filters = wanted.filters(visit.now)
    _, after = visit.client.environments_page(filters, sort=wanted.reversed(), after=end, limit=PAGE_SIZE)
    return go(wanted.link(after=after or ""))


def _stream(visit: Visit, wanted: Asked, found: Sequence[EnvironmentView], after: int) -> str:
    """The address of the page's stream."""
    since = visit.now.isoformat()
    return wanted.link("/live", ids=",".join(view.id for view in found), after=str(after), since=since)


def live(visit: Visit) -> Response:
    """Changes of the environments on a page, whose ids are given, how many others have come since, and the counts."""
    wanted = asked(visit)
    shown = frozenset(filter(None, visit.asked("ids").split(",")[:PAGE_SIZE]))
    others = _Others(visit, wanted)
    coming = _COMING | _CHANGING if wanted.comes_and_goes else _COMING

    def matters(event: Event) -> bool:
        return event.type not in _NO_ROW if event.environment_id in shown else event.type in _COUNTED

    def render(events: Sequence[Event]) -> str:
        visit.now = visit.clock()
        changed = {event.environment_id for event in events if event.environment_id in shown}
        new = {event.environment_id for event in events if event.type in coming} - shown
        return _rows(visit, changed if events else shown) + _said(events, shown) + others.told(new)

    def settle() -> str:
        counts = visit.client.overview(replace(wanted.filters(visit.clock()), states=""))
        return part("counts", html(visit, "overview_counts.html", asked=wanted, counts=counts))

    return follow(visit, render, wanted=matters, settle=settle)


def _rows(visit: Visit, ids: frozenset[str] | set[str]) -> str:
    """The rows of these environments as they are now; without those that are no longer in sight."""
    if not ids:
        return ""
    these = Filters(ids=",".join(sorted(ids)), ended=True)
    found, _ = visit.client.environments_page(these, limit=len(ids), outputs=True)
    newest = visit.client.overview(Filters(ids="")).newest
    rows = [part(f"env-{one.id}", html(visit, "overview_row.html", view=one, newest=newest)) for one in found]
    gone = sorted(ids - {one.id for one in found})
    return "".join(rows + [part(f"env-{id}", "", "delete") for id in gone])


def _said(events: Sequence[Event], shown: frozenset[str]) -> str:
    """For readers of the screen: the state of what has changed it."""
    states = {
        event.environment: str(event.data.get("state", ""))
        for event in events
        if event.type is EventType.ENVIRONMENT_STATE and event.environment_id in shown
    }
    words = {state.value: sign.word for state, sign in STATES.items()}
    said = [f"{name} is now {words[state]}." for name, state in states.items() if state in words]
    return told(" ".join(said)) if said else ""


class _Others:
    """Counts what belongs to the list by now, and isn't on the page."""

    def __init__(self, visit: Visit, wanted: Asked) -> None:
        self._visit = visit
        self._wanted = wanted
        self._found: set[str] = set()
        self._since: datetime | None = None
        with suppress(ValueError):
            moment = datetime.fromisoformat(visit.asked("since"))
            self._since = moment if moment.tzinfo is not None else None

    def told(self, ids: set[str]) -> str:
        """A line that leads to them, if there are any more of them than before."""
        ids = ids - self._found
        if not ids or len(self._found) >= MOST_NEW or self._since is None:
            return ""
        filters = self._wanted.filters(self._visit.now, ids=",".join(sorted(ids)[:200]))
        found, _ = self._visit.client.environments_page(filters, limit=len(ids))
        before = len(self._found)
        self._found |= {one.id for one in found if self._is_new(one, self._since)}
        if len(self._found) == before:
            return ""
        count = len(self._found)
        words = "1 new environment" if count == 1 else f"{min(count, MOST_NEW)} new environments"
        words += " or more" if count >= MOST_NEW else ""
        return part("news", f'<a href="{escape(self._wanted.link())}">{words}: show</a>', "innerHTML")

    def _is_new(self, one: EnvironmentView, since: datetime) -> bool:
        """Others are on other pages, and were before."""
        return one.created_at >= since or (self._wanted.comes_and_goes and one.state_since >= since)


PAGES = (("GET", "/", show), ("GET", "/live", live))
