"""The site of an OpenID provider in tests: it signs somebody in at once, over a redirect to another host of its own."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.fakes.identity import MemoryProvider


@dataclass
class IdentitySite:
    """Where the provider is, and whom it signs in next: subject and claims; None: it refuses."""

    provider: MemoryProvider
    port: int = 0
    subject: str | None = "s-1"
    claims: dict[str, Any] = field(default_factory=lambda: {"preferred_username": "ada", "name": "Ada Lovelace"})
    asked: list[dict[str, str]] = field(default_factory=list)
    """The parameters of each authorization."""
    answers: list[str] = field(default_factory=list)
    """The addresses that browsers were sent back to."""
    waits: bool = False
    """Whether it shows a page in place of signing in."""

    def answer(self, asked: dict[str, str]) -> str:
        """Where the browser is sent after an authorization."""
        back: dict[str, str] = {"state": asked["state"]}
        if self.subject is None:
            back["error"] = "access_denied"
        else:
            back["code"] = self.provider.signs_in(self.subject, asked, **self.claims)
        self.answers.append(f"{asked['redirect_uri']}?{urlencode(back)}")
        return self.answers[-1]


@contextlib.contextmanager
def identity_site(provider: MemoryProvider) -> Iterator[IdentitySite]:
    """Serves the site; the provider's authorization endpoint is there."""
    site = IdentitySite(provider)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/authorize":
                site.asked.append(dict(parse_qsl(parts.query)))
                # Another origin: a browser that judges redirects after a form would stop here.
                self._go(f"http://localhost:{site.port}/login?{parts.query}")
            elif parts.path == "/login" and not site.waits:
                self._go(site.answer(dict(parse_qsl(parts.query))))
            else:
                body = b"<!doctype html><title>Provider</title><h1>The provider's page</h1>"
                self.send_response(200 if parts.path == "/login" else 404)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def _go(self, address: str) -> None:
            self.send_response(302)
            self.send_header("Location", address)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.port = server.server_address[1]
    provider.site = f"http://127.0.0.1:{site.port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="provider")
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join(60)
        server.server_close()
