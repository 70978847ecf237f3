"""What receives warnings in tests: a real mail server, and a web server that keeps what it is sent."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from environments.providers.local_cluster.agents.patience import wait_for


@dataclass
class Mailbox:
    """The mail that a server took. `refuse`: what it answers to each message instead, such as `451 later`."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    refuse: str = ""
    logins: list[tuple[str, str]] = field(default_factory=list)
    before_answer: Callable[[], None] = lambda: None
    """Called when a mail was taken, before whoever sent it is told."""

    async def handle_DATA(self, _server: Any, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        """Takes a message."""
        if self.refuse:
            return self.refuse
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.envelopes.append((str(envelope.mail_from), [str(one) for one in envelope.rcpt_tos]))
        self.before_answer()
        return "250 OK"

    def wait(self, count: int = 1, seconds: float = 120) -> list[EmailMessage]:
        """The mail once there is so much of it."""
        assert wait_for(lambda: len(self.mails) >= count, seconds), self.mails
        return self.mails


@contextlib.contextmanager
def mail_server(tls: ssl.SSLContext | None = None, *, implicit: bool = False, password: str = "") -> Iterator[Mailbox]:
    """A mail server on a free port of loopback. `tls`: with STARTTLS, which it needs; `implicit`: TLS from the start.

    With a `password`, which needs STARTTLS, only who logs in with it may send.
    """
    mailbox = Mailbox()

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        mailbox.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password.decode() == password, handled=False)

    secured: dict[str, Any] = {} if tls is None or implicit else {"tls_context": tls, "require_starttls": True}
    if password:
        secured |= {"authenticator": check, "auth_required": True, "auth_require_tls": True}
    started = threading.Event()
    loop = asyncio.new_event_loop()

    def serve() -> None:
        def make() -> SMTP:
            return SMTP(mailbox, hostname="localhost", enable_SMTPUTF8=False, loop=loop, **secured)

        server = loop.run_until_complete(loop.create_server(make, "127.0.0.1", 0, ssl=tls if implicit else None))
        mailbox.port = server.sockets[0].getsockname()[1]
        started.set()
        loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert started.wait(120)
    try:
        yield mailbox
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)


@dataclass
class Received:
    """A request that the web server was sent."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Hook:
    """A receiver of webhooks: `address` leads to it; it answers with `status` and `headers`, after `delay` seconds."""

    address: str = ""
    received: list[Received] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b"ok"


@contextlib.contextmanager
def hook_server(tls: ssl.SSLContext | None = None) -> Iterator[Hook]:
    """A receiver on a free port of loopback."""
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(hook.status)
            for name, value in hook.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(hook.answer)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(hook.answer)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    scheme = "http" if tls is None else "https"
    hook.address = f"{scheme}://localhost:{server.server_address[1]}"
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)
