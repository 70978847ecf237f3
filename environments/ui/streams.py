"""Streams of server-sent events to browsers: what they carry, and when they end."""

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from environments.client import Connected, Disconnected, LiveItem, Place
from environments.domain.environment import Event
from environments.domain.errors import CalvinverseError, TooManyRequests
from environments.pages.answers import stream_headers
from environments.ui.passing import passed_on
from environments.ui.swaps import away, note, stopped
from environments.ui.visit import Visit

QUIET = 5.0
"""Seconds after which a stream says that it is still there, when it hears of something that it doesn't show."""

BEHIND, APART = 1.0, 5.0
"""Seconds from a change until what follows many changes is shown, and between two times: what changed itself is first.
"""

MOST_WAITING = 500
"""Events that wait to be shown; beyond that no more are read until they are."""

_AGAIN_SECONDS = 1.0
_RETRY_MS, _RETRY_FULL_MS = 1_000, 30_000
_LINE = re.compile(r"\r\n|\r|\n")
_log = logging.getLogger(__name__)

Wanted = Callable[[Event], bool]
Render = Callable[[Sequence[Event]], str]
"""Makes the parts of a page that events have changed; runs in a thread."""

Settle = Callable[[], str]
"""Makes the parts of a page that follow many events, such as counts; runs in a thread."""


class LiveAnswer(Response):
    """See `environments.ui.live.follow`."""

    def __init__(
        self,
        visit: Visit,
        render: Render,
        *,
        after: int | None,
        environment: str | None,
        wanted: Wanted | None,
        without: Collection[str],
        settle: Settle | None = None,
    ) -> None:
        super().__init__(headers=stream_headers(), media_type="text/event-stream")
        del self.headers["content-length"]
        self._visit = visit
        self._streams = visit.streams
        self._render = render
        self._settle = settle
        self._after = after
        self._environment = environment
        self._wanted = wanted
        self._without = without
        self._heard: asyncio.Queue[LiveItem | CalvinverseError] = asyncio.Queue(MOST_WAITING)
        self._place: int | None = None
        self._said = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] != "HEAD":
            end = asyncio.Event()
            try:
                with self._streams.place(self._visit.whose, end.set):
                    await self._until_one_ends(self._hear(), self._tell(send), _gone(receive), end.wait())
            except TooManyRequests as error:
                await _say(send, _message(note(error.message), None, retry=_RETRY_FULL_MS))
        with contextlib.suppress(OSError):  # the browser has gone
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _until_one_ends(self, *parts: Coroutine[Any, Any, object]) -> None:
        tasks = [asyncio.ensure_future(part) for part in parts]
        try:
            await asyncio.wait(tasks, timeout=self._streams.longest, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception) and not isinstance(ended, OSError):
                    _log.error("a stream ended: %s", self._visit.path, exc_info=ended)

    async def _hear(self) -> None:
        """Passes on what the service says; when the queue is full, it waits, and the service with it."""
        visit = self._visit
        events = self._streams.events().events(
            visit.session,
            after=self._after,
            environment=self._environment,
            without=self._without,
            headers=passed_on(visit.headers),
        )
        try:
            async with contextlib.aclosing(events):
                async for item in events:
                    if isinstance(item, Event) and self._wanted is not None and not self._wanted(item):
                        item = Place(item.id)
                    await self._heard.put(item)
        except CalvinverseError as error:
            await self._heard.put(error)
        await asyncio.Event().wait()  # the other part says why, and ends the stream

    async def _tell(self, send: Send) -> None:
        """Tells the browser, until the stream can't go on."""
        first = self._after is None
        clock = asyncio.get_running_loop().time
        settled = -APART
        due: float | None = None
        while True:
            items = await self._take(due)
            events = [item for item in items if isinstance(item, Event)]
            for item in items:
                if isinstance(item, Event | Place):
                    self._place = item.id if isinstance(item, Event) else item.number
                elif isinstance(item, Disconnected):
                    full = isinstance(item.error, TooManyRequests)
                    await self._say(send, note(item.error.message) if full else away())
                elif isinstance(item, Connected) and self._said:
                    await self._say(send, note(""))
            failed = next((item for item in items if isinstance(item, CalvinverseError)), None)
            if events or (first and self._place is not None):
                first = False
                failed = failed or await self._show(send, partial(self._render, events))
                if self._settle is not None and due is None:
                    due = max(clock() + BEHIND, settled + APART)
            elif due is None and clock() - self._said >= QUIET:
                await self._say(send, "")
            if self._settle is not None and due is not None and failed is None and clock() >= due:
                settled, due = clock(), None
                failed = await self._show(send, self._settle)
            if failed is not None:
                await self._say(send, stopped(self._visit, failed))
                return
            if events:
                await asyncio.sleep(self._streams.pause)

    async def _take(self, until: float | None) -> list[LiveItem | CalvinverseError]:
        """All that was heard, once there is something; nothing at that moment of the loop's clock."""
        items: list[LiveItem | CalvinverseError] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                items.append(await self._heard.get())
        while not self._heard.empty():
            items.append(self._heard.get_nowait())
        return items

    async def _show(self, send: Send, make: Callable[[], str]) -> CalvinverseError | None:
        """Shows what `make` makes; what can't be mended by trying again."""
        tried = False
        while True:
            try:
                html = await anyio.to_thread.run_sync(make, limiter=self._streams.threads)
            except CalvinverseError as error:
                if not error.transient:
                    return error
                if not tried:
                    await self._say(send, away(), placed=False)
                tried = True
                await asyncio.sleep(_AGAIN_SECONDS)
            except Exception:  # noqa: BLE001 - people get a sentence, the log the rest
                _log.exception("unforeseen error: stream %s", self._visit.path)
                return CalvinverseError("Something went wrong on this page.")
            else:
                await self._say(send, html + (note("") if tried else ""))
                return None

    async def _say(self, send: Send, html: str, *, placed: bool = True) -> None:
        self._said = asyncio.get_running_loop().time()
        await _say(send, _message(html, self._place if placed else None))


def refused(visit: Visit, error: CalvinverseError) -> Response:
    """The answer to a browser that wants a stream and can't have it; the page stays as it is."""
    return Response(_message(stopped(visit, error), None), headers=stream_headers(), media_type="text/event-stream")


def _message(html: str, place: int | None, retry: int = _RETRY_MS) -> bytes:
    """A server-sent event without a name (WHATWG HTML, 9.2.6); without HTML a sign of life."""
    lines = [": here"] if not html else [f"retry: {retry}", *(f"data: {line}" for line in _LINE.split(html))]
    if place is not None:
        lines.append(f"id: {place}")
    return ("\n".join(lines) + "\n\n").encode(errors="replace")


async def _say(send: Send, text: bytes) -> None:
    await send({"type": "http.response.body", "body": text, "more_body": True})


async def _gone(receive: Receive) -> None:
    """Waits until the browser has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
