"""What the steps of an environment wrote, and what happened beside: the end of it, any part, or all as a file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.responses import Response, StreamingResponse

from environments.domain.cleaning import printable
from environments.domain.environment import Event
from environments.domain.errors import CalvinverseError
from environments.log_words import log_line
from environments.moments import moment, time_of_day
from environments.pages.answers import page_headers
from environments.pages.requests import whole_number
from environments.ui.answers import POLICY, html
from environments.ui.environment import container_logs
from environments.ui.environment.common import environment_page, found, path_of
from environments.ui.live import follow, part
from environments.ui.visit import Visit
from environments.wire.environments import EnvironmentView
from environments.words import Mood, one_line

PAGE = 500
"""Lines of a page, and events of a request."""

MOST_PAGES = 20
"""Requests for the lines of one step at the end of the log."""

MOST = 500_000
"""Events that are read for a file, about."""


@dataclass(frozen=True)
class Line:
    """An event as a line of the log. `tag`: the step that wrote it; empty for what the service tells."""

    id: int
    at: datetime
    tag: str
    text: str
    mood: Mood
    time: str


def line_of(visit: Visit, event: Event) -> Line | None:
    """The event as a line; None if it is shown elsewhere."""
    said = log_line(event, printable)
    if said is None:
        return None
    return Line(event.id, event.at, said.step, said.text, said.mood, time_of_day(event.at, visit.zone))


def show(visit: Visit) -> Response:
    """The end of the log; with `after` the lines that follow an event, with `before` those that precede one."""
    view = found(visit)
    if visit.asked("container"):
        return container_logs.show(visit, view)
    step = visit.asked("step")
    after, before = whole_number(visit.asked("after")), whole_number(visit.asked("before"))
    if after is None:
        events = _latest(visit, view, step, before)
    else:
        events = visit.client.history(view.id, after=after, limit=PAGE)
    at_end = after is None and before is None
    choices, why_no_containers = container_logs.choices(visit, view)
    lines = [line for event in events if (line := line_of(visit, event)) is not None and step in ("", line.tag)]
    return environment_page(
        visit,
        view,
        "logs.html",
        "logs",
        lines=lines,
        step=step,
        steps=sorted({one_line(one.name) for one in view.deployment.steps} if view.deployment is not None else ()),
        choices=choices,
        chosen="",
        why_no_containers=why_no_containers,
        earlier=visit.link(after=None, before=events[0].id) if after is None and len(events) >= PAGE else "",
        begins=visit.link(after=0, before=None) if after is None or after > 0 else "",
        follows=visit.link(after=events[-1].id, before=None) if not at_end and events else "",
        ends=visit.link(after=None, before=None) if not at_end else "",
        live=visit.link(path_of(visit, view, "logs/live"), after=_last(events), step=step) if at_end else "",
        download=path_of(visit, view, "logs.txt"),
    )


def live(visit: Visit) -> Response:
    """Lines as they are written, behind those that a page shows."""
    view = found(visit)
    step = visit.asked("step")
    newest = 0

    def render(events: Sequence[Event]) -> str:
        nonlocal newest
        fresh = [event for event in events if event.id > newest]
        newest = max((event.id for event in fresh), default=newest)
        lines = [line for event in fresh if (line := line_of(visit, event)) is not None and step in ("", line.tag)]
        made = "".join(html(visit, "environment/log_line.html", line=line) for line in lines)
        return part("log-lines", made, "beforeend") if made else ""

    return follow(visit, render, environment=view.id, logs=True)


def download(visit: Visit) -> Response:
    """All of it as a file of lines, sent while it is read: it may be larger than the memory of this process."""
    view = found(visit)
    headers = page_headers(POLICY) | {"Content-Disposition": f'attachment; filename="{view.name}.log"'}
    return StreamingResponse(_file(visit, view), headers=headers, media_type="text/plain; charset=utf-8")


def _file(visit: Visit, view: EnvironmentView) -> Iterator[bytes]:
    last = 0
    try:
        for page in _pages(visit, view):
            last = page[-1].id
            lines = [
                f"{moment(line.at, visit.zone)} {line.tag or '--'} {line.text}\n"
                for event in page
                if (line := line_of(visit, event)) is not None
            ]
            yield "".join(lines).encode("utf-8", "replace")
        if visit.client.history(view.id, after=last, limit=1):
            yield f"The rest is left out; all of it: calvinverse env logs {view.name}\n".encode()
    except CalvinverseError as error:  # its status has been sent
        yield f"The rest can't be read: {error.message}\n".encode()


def _latest(visit: Visit, view: EnvironmentView, step: str, before: int | None) -> list[Event]:
    """The newest events, older than `before`: a page of them, or with a step as many as have a page of its lines."""
    found: list[Event] = []
    for _ in range(MOST_PAGES if step else 1):
        page = visit.client.newest_history(view.id, before=before, limit=PAGE)
        found = [*page, *found]
        if not page or sum(event.step == step for event in found) >= PAGE:
            break
        before = page[0].id
    return found


def _last(events: Sequence[Event]) -> int:
    return events[-1].id if events else 0


def _pages(visit: Visit, view: EnvironmentView) -> Iterator[Sequence[Event]]:
    seen, count = 0, 0
    while count < MOST and (page := visit.client.history(view.id, after=seen, limit=PAGE)):
        yield page
        seen = page[-1].id
        count += len(page)


PAGES = (
    ("GET", "/environments/{name}/logs", show),
    ("GET", "/environments/{name}/logs/live", live),
    ("GET", "/environments/{name}/logs.txt", download),
    *container_logs.PAGES,
)
