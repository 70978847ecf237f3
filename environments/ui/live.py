"""Pages that change while they are read: from the service's events to parts of HTML, over server-sent events.

A page holds `{{ parts.live(path) }}` once, and a handler for that path answers with `follow`. One stream a tab.
"""

from starlette.responses import Response

from environments.domain.environment import EventType
from environments.pages.requests import whole_number
from environments.ui.streams import LiveAnswer, Render, Settle, Wanted
from environments.ui.swaps import part, told
from environments.ui.visit import Visit

__all__ = ["Render", "Wanted", "follow", "part", "told"]

_LOGS = (EventType.LOG.value,)


def follow(
    visit: Visit,
    render: Render,
    *,
    environment: str | None = None,
    wanted: Wanted | None = None,
    logs: bool = False,
    settle: Settle | None = None,
) -> Response:
    """The answer of a page that streams changes; it has no end of its own.

    A handler `GET /live/…` returns it: `return follow(visit, render, environment=name)`. The page that is kept up to
    date holds `{{ parts.live("/live/…") }}`. With `?after=ID` in that path the events behind that one are shown; else
    `render` is called once without events, to show everything as it is when the stream begins.

    - `environment`: name or id; only its events. None: those of all environments that the person sees.
    - `wanted`: which events matter, by default all. It is called for each in the event loop: it must not wait.
    - `logs`: log lines too, which are most of all events.
    - `render` gets one or more events, in order, and returns HTML: parts made with `part` and `told`, or an empty text
      if nothing changes. It is called in a thread, at most five times in a second for a stream, and may ask the
      service with `visit.client`. When that raises a transient error, it is called again with the same events.
    - `settle` returns HTML, too, for what follows many events, such as counts. It is called a second after `render`, at
      most once in five seconds.

    After a lost connection the browser tells the last event that it has heard of, and nothing is missed. Streams end
    after an hour (the browser connects again), and with the session: the page then stays as it is, with all that was
    typed, and offers to sign in.
    """
    after = whole_number(visit.headers.get("last-event-id", "") or visit.asked("after"))
    without = () if logs else _LOGS
    return LiveAnswer(
        visit, render, after=after, environment=environment, wanted=wanted, without=without, settle=settle
    )
