"""The web page over the real API, both in this process: asked by a test without a browser, or served to one."""

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode

import httpx2
from starlette.types import ASGIApp, Receive, Scope, Send

from environments.api.app import create_app
from environments.bootstrap.sign_in import pages
from environments.pages.requests import SESSION_COOKIE
from environments.serving.certificate import ServedCertificate
from environments.serving.server import make_server
from environments.ui.app import WebPage
from environments.ui.files import OF_OTHERS
from environments.ui.open_streams import Streams
from environments.ui.settings import UiSettings
from environments.ui.upstream import Upstream
from environments.ui.visit import FORM_TOKEN, token_of
from tests.support.asgi import AsgiTransport, Loop, ThreadedTransport
from tests.support.authorities import make_authority
from tests.support.browser import Visitor
from tests.support.cut_line import Line
from tests.support.in_process.client import InProcessClient

ORIGIN = "https://calvinverse.test"

NO_PAGES = (".pem", ".svg", ".json", ".txt", "/live", "/download", "/logs/container/more")
"""How the addresses end of what isn't a page by itself."""

_OF_SERVICE = re.compile(r"/(v1|self|ui-none)/|/(sign-in|sign-out|device|sessions|claims|account|assets)(/|$)")


class Reader:
    """Somebody who reads and sends pages without a browser, signed in with a token of the service."""

    def __init__(self, client: InProcessClient, folder: Path, token: str | None = None) -> None:
        for name in OF_OTHERS:
            (folder / name).write_text("/* of others */", encoding="utf-8")
        self._loop = Loop()
        self.token = client._http.headers["Authorization"].removeprefix("Bearer ") if token is None else token
        settings = UiSettings(service=client.address, address=ORIGIN, assets=folder)
        self._upstream = Upstream(settings, client._http._transport, ThreadedTransport(client._http._transport))
        self.streams = Streams(self._upstream.live, pause=0.01)
        page = WebPage(settings, self._upstream, lambda: client.now, self.streams)
        self._http = httpx2.Client(base_url=ORIGIN, transport=AsgiTransport(page, self._loop.loop), timeout=60)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        """Opens a page; redirects aren't followed."""
        return self._http.get(path, headers={**self._cookie(), **(headers or {})})

    def post(
        self,
        path: str,
        fields: Mapping[str, str | list[str]],
        headers: Mapping[str, str] | None = None,
        *,
        form_token: str | None = None,
    ) -> httpx2.Response:
        """Sends a form as a page of ours would; `form_token`: another one than the page's."""
        token = self.form_token() if form_token is None else form_token
        body = urlencode({**fields, FORM_TOKEN: token}, doseq=True)
        sent = {"Content-Type": "application/x-www-form-urlencoded", "Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
        return self._http.post(path, content=body.encode(), headers={**self._cookie(), **sent, **(headers or {})})

    @contextlib.contextmanager
    def follow(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator["Followed"]:
        """Opens a stream as htmx does, until the block ends."""
        sent = {"Accept": "text/html, text/event-stream", "HX-Request": "true", **self._cookie(), **(headers or {})}
        with self._http.stream("GET", path, headers=sent) as answer:
            yield Followed(answer)

    def form_token(self) -> str:
        """That of the pages of this session."""
        return token_of(self.token)

    def _cookie(self) -> dict[str, str]:
        return {"Cookie": f"{SESSION_COOKIE}={self.token}"} if self.token else {}

    def close(self) -> None:
        """Ends the page."""
        self._http.close()
        self._loop.run(self._end_streams())
        self._loop.close()

    async def _end_streams(self) -> None:
        self.streams.close()
        while len(self.streams):  # noqa: ASYNC110 - only tests wait for this
            await asyncio.sleep(0.01)
        await self._upstream.live().close()


class Followed:
    """A stream that somebody reads."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer
        self.place: int | None = None
        """The id that a browser would tell when it connects again."""
        self.alive = 0
        """Signs of life without content."""
        self._messages = self._read()

    def next(self) -> str:
        """The HTML of the next message; empty when the stream has ended."""
        return next(self._messages, "")

    def until(self, text: str) -> str:
        """All HTML up to the message that holds a text. Fails when the stream ends before."""
        found = ""
        for message in self._messages:
            found += message
            if text in message:
                return found
        raise AssertionError(f"the stream ended without {text!r}: {found}")

    def _read(self) -> Iterator[str]:
        data: list[str] = []
        for chunk in self.answer.iter_lines():
            field, _, value = chunk.partition(": ")
            if field == "data":
                data.append(value)
            elif field == "id":
                self.place = int(value)
            elif not field and value:
                self.alive += 1
            elif not chunk and data:
                yield "\n".join(data)
                data = []


def text_of(answer: httpx2.Response) -> str:
    """What a page says, without its elements, and with single spaces."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", answer.text))).strip()


class _Front:
    """The one address: paths of the service to the service, all others to the page."""

    def __init__(self, service: ASGIApp, page: ASGIApp) -> None:
        self._service = service
        self._page = page
        self.state = SimpleNamespace(
            waiting=[one for app in (service, page) for one in getattr(getattr(app, "state", None), "waiting", ())]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        of_service = scope["type"] != "http" or _OF_SERVICE.match(scope["path"])
        await (self._service if of_service else self._page)(scope, receive, send)


@contextlib.contextmanager
def served_page(
    client: InProcessClient, folder: Path, assets: Path, *, name: str = "127.0.0.1", line: Line | None = None
) -> Iterator[str]:
    """The service, its sign-in pages and the web page at one address with TLS, for browsers.

    `name`: the host in that address; `line`: by which browsers reach it, in place of its own port.
    """
    authority = make_authority("ours")
    pem = authority.sign(folder / "tls.pem", "127.0.0.1", "localhost")
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    address = f"https://127.0.0.1:{listener.getsockname()[1]}"
    ca = folder / "ca.pem"
    ca.write_text(authority.pem, encoding="utf-8")
    service = client.service
    there = listener.getsockname()[1]
    if line is not None:
        line.target = there
    outside = f"https://{name}:{there if line is None else line.port}"
    settings = UiSettings(service=address, service_ca_file=ca, address=outside, assets=assets)
    upstream = Upstream(settings)
    app = _Front(
        create_app(service, None, pages(service, service.world.derive, service.clock, "")),
        WebPage(settings, upstream, lambda: client.now),
    )
    server = make_server(app, certificate=ServedCertificate(pem, pem))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="page")
    thread.start()
    try:
        yield outside
    finally:
        upstream.close()  # first: the server waits for connections that are open
        server.should_exit = True
        thread.join(60)
        listener.close()
        assert not thread.is_alive(), "the server did not stop"


def signed_in(visitor: Visitor, client: InProcessClient, address: str, token: str = "") -> None:
    """Gives a browser the session that the client has, or another one."""
    token = token or client._http.headers["Authorization"].removeprefix("Bearer ")
    visitor.context.add_cookies(
        [
            {
                "name": SESSION_COOKIE,
                "value": token,
                "url": address,
                "secure": True,
                "httpOnly": True,
                "sameSite": "Lax",
            }
        ]
    )
