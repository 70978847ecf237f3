"""The web page as an ASGI application: which pages there are, for whom, and errors as pages."""

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.parse import quote

import anyio
import anyio.to_thread
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from environments.domain.errors import (
    CalvinverseError,
    Forbidden,
    InvalidInput,
    MethodNotAllowed,
    NotFound,
    Unauthenticated,
)
from environments.pages.origins import from_here
from environments.pages.requests import SESSION_COOKIE, cookies, own_origin, own_path, pairs, read_form, set_cookie
from environments.ui import (
    audit,
    badges,
    catalogue,
    chosen,
    environment,
    groups,
    images,
    making,
    meta,
    overview,
    people,
    plans,
    received_events,
    rule_moments,
    settings_page,
    template_versions,
    timing,
    triggers,
    updating,
    webhooks,
)
from environments.ui.answers import go, page
from environments.ui.faults import fault_page, status_of, surely_undone
from environments.ui.files import Files
from environments.ui.listing import place
from environments.ui.open_streams import Streams
from environments.ui.packing import packed
from environments.ui.paths import encoded, matched, parts_of
from environments.ui.persons import Persons
from environments.ui.settings import UiSettings
from environments.ui.streams import refused
from environments.ui.turns import Turns
from environments.ui.upstream import Upstream
from environments.ui.visit import FORM_TOKEN, Visit

Page = Callable[[Visit], Response]
PageRoute = tuple[str, str, Page]
"""Method, path with its parts that vary in braces, and what makes the answer, in a thread."""

PAGES: tuple[PageRoute, ...] = (
    *overview.PAGES,
    *chosen.PAGES,
    *badges.PAGES,
    *making.PAGES,
    *updating.PAGES,
    *plans.PAGES,
    *catalogue.PAGES,
    *template_versions.PAGES,
    *images.PAGES,
    *environment.PAGES,
    *received_events.PAGES,
    *triggers.PAGES,
    *webhooks.PAGES,
    *meta.PAGES,
    *timing.PAGES,
    *rule_moments.PAGES,
    *people.PAGES,
    *groups.PAGES,
    *audit.PAGES,
    *settings_page.PAGES,
)
"""Every page; each needs somebody who is signed in."""

HEALTH = "/ui/health"
"""Answers without asking anybody: whether this process lives."""

LARGEST_FORM = 256 * 1024
"""Bytes of a form: parameters of an environment may be large."""

MOST_FIELDS = 2_000

_ASKING = 16
"""Sessions that weren't seen before whose person is asked for side by side, in threads of their own."""

_AT_ONCE = 24
"""Pages that are made side by side, each in a thread."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Found:
    """The page of a path, and the parts of the path that vary."""

    make: Page
    params: Mapping[str, str]


class WebPage:
    """See the module."""

    def __init__(
        self,
        settings: UiSettings,
        upstream: Upstream,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        streams: Streams | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._upstream = upstream
        self._files = Files(settings.assets)
        self._streams = Streams(upstream.live) if streams is None else streams
        self.state = SimpleNamespace(waiting=(self._streams,))
        """`waiting` is closed when the server stops."""
        self._threads: anyio.CapacityLimiter | None = None
        self._turns = Turns()
        self._persons = Persons()
        self._asking: anyio.CapacityLimiter | None = None
        self._routes = [(method, path.split("/"), make) for method, path, make in PAGES]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answer = await self._answer(scope, receive)
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        if scope["path"] == HEALTH:
            return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})
        if self._files.owns(scope["path"]):
            return self._files.answer(scope["path"], Headers(scope=scope))
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(_AT_ONCE)
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        visit = self._visit(scope, method)
        try:
            visit = replace(visit, query=_many(pairs(scope["query_string"].decode("ascii", "replace"))))
            found = self._find(scope, method)
            visit = replace(visit, params=found.params)
            if method != "GET":
                if not from_here(visit.headers, visit.origin):
                    raise Forbidden(
                        "This form was sent by another site, and nothing was done.",
                        hint="Open the page again and repeat it there.",
                    )
                sent = pairs(await read_form(visit.headers, receive, LARGEST_FORM), LARGEST_FORM, MOST_FIELDS)
                visit = replace(visit, form=_many(sent))
        except CalvinverseError as error:
            return fault_page(visit, error)
        try:
            visit = replace(visit, whose=await self._whose(visit))
            # Strangers are only sent to sign in.
            async with self._turns.turn(visit.whose) if visit.whose else nullcontext():
                return await anyio.to_thread.run_sync(_packed, found.make, visit, limiter=self._threads)
        except CalvinverseError as error:
            return _failed(visit, error)

    async def _whose(self, visit: Visit) -> str:
        """Who asks; empty for a stranger. Raises what the service says of a session that it doesn't know."""
        token = visit.bearer or visit.session
        if not token:
            return ""
        if self._asking is None:
            self._asking = anyio.CapacityLimiter(_ASKING)
        asking = self._asking
        return await self._persons.whose(token, lambda: anyio.to_thread.run_sync(visit.client.who_am_i, limiter=asking))

    def _visit(self, scope: Scope, method: str) -> Visit:
        headers = Headers(scope=scope)
        known = cookies(headers)
        if not _usable(known.get(SESSION_COOKIE, "")):
            known.pop(SESSION_COOKIE, None)
        bearer = headers.get("authorization", "").removeprefix("Bearer ") if badges.is_one(scope["path"]) else ""
        return Visit(
            method=method,
            path=scope["path"],
            sent_path=encoded(parts_of(_raw(scope))),
            params={},
            query={},
            form={},
            cookies=known,
            headers=headers,
            origin=own_origin(scope, self._settings.address),
            client=self._upstream.client(_usable(bearer) or known.get(SESSION_COOKIE, ""), headers),
            bearer=_usable(bearer),
            assets=self._files.addresses,
            now=self._clock(),
            streams=self._streams,
            clock=self._clock,
        )

    def _find(self, scope: Scope, method: str) -> _Found:
        """Raises `NotFound`, `MethodNotAllowed`."""
        here = False
        parts = parts_of(_raw(scope))
        for wanted, pattern, make in self._routes:
            params = matched(pattern, parts)
            if params is not None and wanted == method:
                return _Found(make, params)
            here = here or params is not None
        if here:
            raise MethodNotAllowed(f"{method} is not possible here.")
        raise NotFound("There is no such page.", hint="Go to the list of environments.")


def _packed(make: Page, visit: Visit) -> Response:
    return packed(visit.headers, _make(make, visit))


def _make(make: Page, visit: Visit) -> Response:
    """The answer, in a thread."""
    try:
        if not visit.session and not visit.bearer:
            raise Unauthenticated("You aren't signed in.")
        if visit.method != "GET":
            visit.check_form()
        return make(visit)
    except CalvinverseError as error:
        return _failed(visit, error)
    except ValidationError:  # of a request that was made of what was typed
        return fault_page(
            visit, InvalidInput("Something that was typed is too long, or isn't what belongs there. Nothing was done.")
        )
    except Exception:  # noqa: BLE001 - people get a page, the log the rest
        _log.exception("unforeseen error: %s %s", visit.method, visit.path)
        return fault_page(
            visit,
            CalvinverseError("Something went wrong on this page.", hint="Try again; an admin finds it in the log."),
        )


def _failed(visit: Visit, error: CalvinverseError) -> Response:
    """What a page answers when it can't be made."""
    if _streams(visit):
        return refused(visit, error)
    if isinstance(error, Unauthenticated):
        return fault_page(visit, error) if visit.bearer else _to_sign_in(visit, error)
    if visit.method != "GET" and FORM_TOKEN in visit.form and (error.transient or isinstance(error, Forbidden)):
        return _again(visit, error, status_of(error))
    return fault_page(visit, error)


def _streams(visit: Visit) -> bool:
    """Whether a page's stream asks."""
    return visit.method == "GET" and "text/event-stream" in visit.headers.get("accept", "") and visit.htmx


def _to_sign_in(visit: Visit, error: Unauthenticated) -> Response:
    """To the page for signing in, and from there back; what was typed into a form is kept on a page instead."""
    if visit.method != "GET":
        return _again(visit, error, 401)
    here = own_path(visit.link())
    answer = go(f"/sign-in?{'ended=1&' if visit.session else ''}next={quote(here, safe='/')}")
    if visit.session:
        answer.headers.append("Set-Cookie", set_cookie(SESSION_COOKIE, "", 0))
    if visit.htmx:  # a script would put the page for signing in where a part of this one belongs
        return Response(status_code=204, headers={"HX-Redirect": answer.headers["Location"]})
    return answer


def _again(visit: Visit, error: CalvinverseError, status: int) -> Response:
    """What was sent, to be sent again: nothing that somebody has typed is lost, but secrets, which no page repeats."""
    kept, secrets = visit.kept()
    name = visit.params.get("name", "") if visit.path.startswith("/environments/") else ""
    look = visit.link(place("environments", name)) if name else "/"
    undone = surely_undone(error)
    return page(visit, "again.html", status, error=error, kept=kept, secrets=secrets, undone=undone, look=look)


def _many(found: list[tuple[str, str]]) -> dict[str, list[str]]:
    many: dict[str, list[str]] = {}
    for name, value in found:
        many.setdefault(name, []).append(value)
    return many


def _usable(value: str) -> str:
    """What a cookie or a header holds, if it can be a token."""
    return value if value.isascii() and value.isprintable() and " " not in value and len(value) <= 500 else ""


def _raw(scope: Scope) -> bytes:
    """The path as it was sent."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw.partition(b"?")[0]
