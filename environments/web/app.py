"""The pages as an ASGI application: which there are, who may see them, and errors as pages."""

import logging
from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from urllib.parse import quote

import anyio
import anyio.to_thread
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from environments.domain.errors import CalvinverseError, MethodNotAllowed, TooManyRequests, Unauthenticated
from environments.pages.requests import SESSION_COOKIE, cookies, fields, own_origin, own_path, read_form, set_cookie
from environments.service.auditing import ATTEMPT, Attempt, refusal_of, refused_stranger
from environments.service.authorization import Principal
from environments.service.built_in_provider import AUTHORIZE_PATH, CALLBACK_PATH
from environments.service.rates import Rate, site_of
from environments.service.sessions import KIND
from environments.web import attempts, forms
from environments.web.account_pages import HOME_PATH, AccountPages
from environments.web.answers import STYLE_PATH, go, style
from environments.web.attempts import Attempts
from environments.web.claims_page import ClaimsPage
from environments.web.device_pages import DevicePages
from environments.web.faults import fault_page
from environments.web.forms import Forms
from environments.web.ports import Service
from environments.web.provider_pages import ProviderPages
from environments.web.sign_in_pages import SignInPages
from environments.web.visits import Visit

Page = Callable[[Visit], Response]

STEPS_EACH_MINUTE = 300
"""Steps of signing in from one address, behind which an office may be: each sign-in takes two or three."""

_ROOM_WAITED_FOR = 10.0
"""Seconds that an answer waits while too many entries wait to be written; then its entry is only logged."""

_AT_ONCE = 8
"""Pages that are made side by side, each in a thread."""

_log = logging.getLogger(__name__)


class Pages:
    """Answers requests for the pages; `owns` says which those are. Everything else is the API's.

    `derive` gives 32 bytes for a label: the keys of cookies and forms follow from the service's own.
    """

    def __init__(
        self, service: Service, derive: Callable[[str], bytes], clock: Callable[[], datetime], external_address: str
    ) -> None:
        self._service = service
        self._collector = service.audit_collector
        self._external = external_address
        self._threads: anyio.CapacityLimiter | None = None
        tokens = Forms(lambda: derive(forms.KEY_LABEL))
        sign_in = SignInPages(service, Attempts(lambda: derive(attempts.KEY_LABEL), clock), tokens)
        account, devices = AccountPages(service, tokens), DevicePages(service, tokens)
        provider, claims = ProviderPages(service, tokens), ClaimsPage(service, tokens)
        self._open: dict[str, dict[str, Page]] = {
            # Behind an edge the web page is here, and this is never asked.
            "/": {"GET": lambda _: go(HOME_PATH)},
            STYLE_PATH: {"GET": lambda _: style()},
            "/sign-in": {"GET": sign_in.show},
            "/sign-in/start": {"POST": sign_in.start},
            CALLBACK_PATH: {"GET": sign_in.callback},
            "/sign-out": {"POST": sign_in.sign_out},
            AUTHORIZE_PATH: {"GET": provider.show, "POST": provider.send},
        }
        """Pages for everybody."""
        self._steps = Rate(STEPS_EACH_MINUTE, "steps of signing in are taken from one address")
        self._counted = {("POST", "/sign-in/start"), ("GET", CALLBACK_PATH), ("POST", AUTHORIZE_PATH)}
        """What asks a provider, before anybody is signed in."""
        self._signed_in: dict[str, dict[str, Page]] = {
            HOME_PATH: {"GET": account.home},
            "/sessions": {"GET": account.sessions},
            "/sessions/revoke": {"POST": account.revoke},
            "/claims": {"GET": claims.show},
            "/device": {"GET": devices.show, "POST": devices.look},
            "/device/approve": {"POST": devices.approve},
            "/device/deny": {"POST": devices.deny},
        }
        """Pages for whoever is signed in."""

    def owns(self, path: str) -> bool:
        """Whether there is a page at this path."""
        return path in self._open or path in self._signed_in

    @property
    def paths(self) -> dict[str, tuple[str, ...]]:
        """All pages and their methods."""
        return {path: tuple(methods) for path, methods in (self._open | self._signed_in).items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = SimpleNamespace(path_format=scope["path"])
        attempt = Attempt(f"{scope['method']} {scope['path']}")
        known = ATTEMPT.set(attempt)  # before any thread: those have the same attempt
        try:
            answer = await self._answer(scope, receive)
            if answer.status_code >= 400 and (scope["method"] == "POST" or scope["path"] == CALLBACK_PATH):
                await anyio.to_thread.run_sync(self._tell, attempt, _address(scope), answer.status_code)
        finally:
            ATTEMPT.reset(known)
        if scope["method"] != "HEAD":
            await answer(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await answer(scope, receive, send_head)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        methods = self._open.get(scope["path"]) or self._signed_in[scope["path"]]
        if method not in methods:
            answer = fault_page(MethodNotAllowed(f"{scope['method']} is not possible here."))
            answer.headers["Allow"] = ", ".join([*methods, *(["HEAD"] if "GET" in methods else [])])
            return answer
        if (method, scope["path"]) in self._counted:
            try:
                self._steps.count(site_of(_address(scope)))
            except TooManyRequests as error:
                return fault_page(error)
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(_AT_ONCE)
        try:
            headers = Headers(scope=scope)
            query = scope["query_string"].decode("ascii", "replace")
            visit = Visit(
                method=method,
                path=scope["path"],
                raw_query=query,
                query=fields(query),
                form=fields(await read_form(headers, receive)) if method == "POST" else {},
                cookies=cookies(headers),
                headers=headers,
                address=_address(scope),
                origin=own_origin(scope, self._external),
            )
            return await anyio.to_thread.run_sync(self._make, methods[method], visit, limiter=self._threads)
        except CalvinverseError as error:
            return fault_page(error)

    def _make(self, make: Page, visit: Visit) -> Response:
        """The answer, as whoever is signed in; in a thread."""
        if visit.path == STYLE_PATH:
            return make(visit)
        secret = visit.cookies.get(SESSION_COOKIE, "")
        principal = self._principal(secret, visit.address)
        if principal is None and visit.path in self._signed_in:
            return _to_sign_in(visit, ended=bool(secret))
        attempt = ATTEMPT.get()
        if attempt is not None:
            attempt.caller = principal
        known = Visit(**{**vars(visit), "principal": principal, "secret": secret})
        try:
            return make(known)
        except Unauthenticated:
            return _to_sign_in(visit, ended=True)
        except CalvinverseError as error:
            return fault_page(error, signed_in=principal is not None)
        except Exception:  # noqa: BLE001 - people get a page, the log the rest
            _log.exception("unforeseen error: %s %s of %s", visit.method, visit.path, visit.address)
            return fault_page(
                CalvinverseError(
                    "Something went wrong inside the service.", hint="Try again; an admin finds it in the log."
                ),
                signed_in=principal is not None,
            )

    def _tell(self, attempt: Attempt, address: str, status: int) -> None:
        """Tells the audit log of a refusal: an entry for who is signed in, else it is counted by address and minute."""
        if attempt.caller is None:
            refused_stranger(self._collector, attempt, address, status)
        elif not attempt.told:
            entry = refusal_of(attempt.caller, attempt, status)
            if not self._collector.note_waiting(entry, _ROOM_WAITED_FOR):
                _log.error("the audit log takes no entry: %s of %s", entry.request, entry.actor)

    def _principal(self, secret: str, address: str) -> Principal | None:
        """Whose session it is; other tokens count for the API alone."""
        if not secret:
            return None
        try:
            found = self._service.tokens.authenticate(secret, address)
        except Unauthenticated:
            return None
        return found if found.kind == KIND else None


def _to_sign_in(visit: Visit, *, ended: bool) -> Response:
    """To the page for signing in, and from there back to a page that only shows something."""
    here = visit.path + (f"?{visit.raw_query}" if visit.raw_query else "")
    back = own_path(here) if visit.method == "GET" else "/"
    query = "&".join(filter(None, ["ended=1" if ended else "", f"next={_quoted(back)}" if back != "/" else ""]))
    answer = go("/sign-in" + (f"?{query}" if query else ""))
    if ended:
        answer.headers.append("Set-Cookie", set_cookie(SESSION_COOKIE, "", 0))
    return answer


def _quoted(text: str) -> str:
    return quote(text, safe="/")


def _address(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else ""


class WithPages:
    """Middleware: pages are answered by `pages`, everything else by the API behind it."""

    def __init__(self, app: ASGIApp, pages: Pages) -> None:
        self._app = app
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pages = scope["type"] == "http" and self._pages.owns(scope["path"])
        await (self._pages if pages else self._app)(scope, receive, send)
