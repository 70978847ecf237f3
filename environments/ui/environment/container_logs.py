"""What a container of an environment writes: the end of it, following it, and the newest part as a file.

A page that follows asks again every few seconds, so that nothing stays open, until the container has ended, an hour is
over, or the browser leaves. New lines are put below; the reader's place in the log stays.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from starlette.responses import Response, StreamingResponse

from environments.actions.refusal import refusal
from environments.actions.registry import action
from environments.container_words import title_of
from environments.domain.errors import CalvinverseError
from environments.pages.answers import page_headers
from environments.pages.requests import whole_number
from environments.ui.answers import POLICY, html
from environments.ui.environment.common import environment_page, found, path_of
from environments.ui.swaps import part, told
from environments.ui.visit import Visit
from environments.wire.containers import ContainerLogView, ContainerView
from environments.wire.environments import EnvironmentView

LINES = 500
"""Lines of each stream that a page begins with."""

MOST_ASKED = 1_800
"""How often a page asks for more before it wants to be loaded again: an hour."""

MOST_BYTES = 20 * 1024 * 1024
"""Of each stream, at its end, that are in a file."""

_SHOWN = 200
"""Containers that can be chosen."""


@dataclass(frozen=True)
class Choice:
    """A container that can be chosen. `key`: its allocation and its task, as they stand in addresses."""

    key: str
    title: str


def choices(visit: Visit, view: EnvironmentView) -> tuple[list[Choice], str]:
    """The containers of an environment, and why none can be chosen."""
    if (why_not := refusal(action("environment.container_logs"), view)) is not None:
        return [], why_not
    try:
        listed = visit.client.containers(view.id)
    except CalvinverseError as error:
        return [], error.message
    return [Choice(_key(one), title_of(one)) for one in listed[:_SHOWN]], ""


def show(visit: Visit, view: EnvironmentView) -> Response:
    """The end of a container's log."""
    allocation, task = _chosen(visit)
    log = visit.client.container_log(view.id, allocation=allocation, task=task, last=LINES)
    listed, _ = choices(visit, view)
    key = _key(log.container)
    if key not in (one.key for one in listed):
        listed.append(Choice(key, title_of(log.container)))
    return environment_page(
        visit,
        view,
        "container_log.html",
        "logs",
        log=log,
        choices=listed,
        chosen=key,
        steps=[],
        step="",
        more=_more(visit, view, log, 1),
        note=_ended(log, 1),
        slow=False,
        download=visit.link(path_of(visit, view, "logs/container.txt"), container=key),
    )


def further(visit: Visit) -> Response:
    """What came since, as parts of the page, and when to ask again."""
    view = found(visit)
    allocation, task = _chosen(visit)
    count = whole_number(visit.asked("count")) or 1
    try:
        log = visit.client.container_log(view.id, allocation=allocation, task=task, after=visit.asked("after"))
    except CalvinverseError as error:
        again = visit.link(count=count + 1) if error.transient and count < MOST_ASKED else ""
        return _parts(visit, "", again, error.message, slow=True)
    lines = "".join(html(visit, "environment/container_line.html", line=line) for line in log.lines)
    if log.missed:
        lines = html(visit, "environment/container_line.html", line=None) + lines
    return _parts(visit, lines, _more(visit, view, log, count + 1), _ended(log, count + 1))


def download(visit: Visit) -> Response:
    """The newest part of the log as a file, sent while it is read."""
    view = found(visit)
    allocation, task = _chosen(visit)
    first = visit.client.container_log(view.id, allocation=allocation, task=task, last_bytes=MOST_BYTES)
    name = f"{view.name}.{first.container.allocation[:8]}.log"
    headers = page_headers(POLICY) | {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_file(visit, view, first), headers=headers, media_type="text/plain; charset=utf-8")


def _file(visit: Visit, view: EnvironmentView, first: ContainerLogView) -> Iterator[bytes]:
    yield _text(first)
    most = 2 * MOST_BYTES
    try:
        for log in visit.client.container_log_from(view.id, first):
            content = _text(log)
            most -= len(content)
            if most < 0:  # it is written faster than it is read
                return
            yield content
    except CalvinverseError as error:  # its status has been sent
        yield f"The rest can't be read: {error.message}\n".encode()


def _text(log: ContainerLogView) -> bytes:
    return "".join(f"{line.stream.value} {line.text}\n" for line in log.lines).encode("utf-8", "replace")


def _key(container: ContainerView) -> str:
    return f"{container.allocation}/{container.task}"


def _chosen(visit: Visit) -> tuple[str, str]:
    allocation, _, task = visit.asked("container").partition("/")
    return allocation, task


def _more(visit: Visit, view: EnvironmentView, log: ContainerLogView, count: int) -> str:
    """Where a page asks for more; empty: no more."""
    if log.ended or count > MOST_ASKED:
        return ""
    path = path_of(visit, view, "logs/container/more")
    return visit.link(path, container=_key(log.container), after=log.after, count=count)


def _ended(log: ContainerLogView, count: int) -> str:
    if log.ended:
        return "It has ended, and nothing more will come."
    return "This page doesn't follow it any more: load it again." if count > MOST_ASKED else ""


def _parts(visit: Visit, lines: str, again: str, note: str, *, slow: bool = False) -> Response:
    """Parts of the page: new lines below the others, and what asks again, or says why nothing does."""
    made = part("log-lines", lines, "beforeend") if lines else ""
    asks = html(visit, "environment/container_more.html", more=again, note=note, slow=slow)
    made += part("log-more", asks, "outerHTML") + (told(note) if note else "")
    return Response(made, 200, page_headers(POLICY), "text/html; charset=utf-8")


PAGES = (
    ("GET", "/environments/{name}/logs/container/more", further),
    ("GET", "/environments/{name}/logs/container.txt", download),
)
