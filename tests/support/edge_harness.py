"""A real edge on loopback for tests: certificates, the process, a service behind it that records what arrives, and raw
connections to it."""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from images.edge.app.caddy import start
from images.edge.app.configuration import Limits, configuration
from images.edge.app.settings import Settings, read_settings
from images.places import CHECKOUT
from images.toolchain import require
from tests.support.authorities import MadeAuthority, make_authority
from tests.support.service_process import free_port

NAME = "calvinverse.localhost"
SECRET = "what proves that a request comes from the edge"
LIMIT = 60.0
"""Seconds to wait for what has to happen."""


@dataclass
class Seen:
    """A request that arrived at the service."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        """The values of a header, whatever its case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass
class Upstream:
    """A service that answers each request with 200 and records it. `/events` streams what `events` gets.

    A request to upgrade the connection is granted; all bytes after that are sent back.
    """

    seen: list[Seen] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    """Paths of requests whose headers have arrived."""
    events: list[bytes] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @contextlib.contextmanager
    def running(self, certificate: Path | None = None) -> Iterator["Upstream"]:
        """Listens on a free port of loopback; with a certificate and its key (PEM) over TLS."""
        server = _Quiet(("127.0.0.1", self.port), _handler(self))
        server.daemon_threads = True
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            # Handshakes belong to the threads of the connections.
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            server.shutdown()
            server.server_close()
            thread.join(LIMIT)


class _Quiet(ThreadingHTTPServer):
    """Attacks end connections in the middle of a request: that is no news."""

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def _handler(upstream: Upstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "service/1"

        def answer(self) -> None:
            upstream.begun.append(self.path)
            try:
                body = self._body()
            except (OSError, ValueError):
                self.close_connection = True  # cut in the middle of its body, so there is nothing to do
                return
            # Not `self.path`, in which slashes at the beginning are one.
            path = self.requestline.split(" ")[1]
            upstream.seen.append(Seen(self.command, path, list(self.headers.items()), body))
            if self.path == "/events":
                self._stream()
                return
            if self.headers.get("Upgrade"):
                self._upgrade()
                return
            text = json.dumps({"path": self.path, "length": len(body)}).encode()
            with contextlib.suppress(OSError):  # nobody reads it any more
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):  # any method
                return self.answer
            raise AttributeError(name)

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self._exactly(int(self.headers.get("Content-Length", 0)))
            found = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                found += self._exactly(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return found

        def _exactly(self, size: int) -> bytes:
            found = self.rfile.read(size)
            if len(found) < size:
                raise ValueError("the body ends too early")
            return found

        def _stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            sent = 0
            try:
                while not upstream.stopping.is_set():
                    for event in upstream.events[sent:]:
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                        sent += 1
                    self.connection.settimeout(0.02)
                    with contextlib.suppress(TimeoutError):
                        if not self.connection.recv(1):
                            return
            except OSError:
                return
            finally:
                upstream.ended.set()
                self.close_connection = True

        def _upgrade(self) -> None:
            """What comes after that is sent back, as a WebSocket would that echoes."""
            self.send_response(101)
            self.send_header("Upgrade", self.headers["Upgrade"])
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            self.close_connection = True
            self.connection.settimeout(LIMIT)
            with contextlib.suppress(OSError):
                while piece := self.connection.recv(65536):
                    self.connection.sendall(piece)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    return Handler


@dataclass
class Edge:
    """An edge that runs, with the folder of its files."""

    settings: Settings
    authority: MadeAuthority
    process: "subprocess.Popen[bytes]"
    log_file: Path
    trusted: str = ""
    """The authority (PEM) that signs its certificates, if that isn't `authority`."""

    @property
    def certificate_file(self) -> Path:
        """The file with its certificate, chain and key."""
        assert self.settings.files is not None, "it gets them by ACME"
        return self.settings.files.certificate

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self.log_file.read_text()

    def connect(
        self, name: str | None = "", *, alpn: tuple[str, ...] = ("http/1.1",), source: str = ""
    ) -> ssl.SSLSocket:
        """A TLS connection that trusts the authority. Raises OSError.

        It asks for `name` (empty: the edge's own; None: for no name). `source` is the address that it comes from.
        """
        name = self.settings.address if name == "" else name
        context = ssl.create_default_context(cadata=self.trusted or self.authority.pem)
        context.check_hostname = name == self.settings.address
        context.set_alpn_protocols(list(alpn))
        place = (self.settings.host, self.settings.port)
        return handshake(context, place, name, source)

    def send(self, request: bytes, *, source: str = "") -> bytes:
        """Everything that is answered to raw bytes of HTTP/1.1 until the edge closes the connection."""
        with self.connect(source=source) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(request)
            return read_all(connection)

    def shown(self) -> bytes:
        """The certificate (DER) that it shows to a new connection."""
        with self.connect() as connection:
            found = connection.getpeercert(binary_form=True)
        assert found is not None
        return found


def handshake(context: ssl.SSLContext, place: tuple[str, int], name: str | None, source: str = "") -> ssl.SSLSocket:
    """A TLS connection to a place that asks for `name`, from the address `source`, if any. Raises OSError."""
    plain = socket.create_connection(place, timeout=LIMIT, source_address=(source, 0) if source else None)
    try:
        return context.wrap_socket(plain, server_hostname=name)
    except BaseException:
        plain.close()
        raise


def read_all(connection: socket.socket) -> bytes:
    """What arrives until the other side closes the connection, in an orderly way or not."""
    found = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while piece := connection.recv(65536):
            found += piece
    return found


def receive(connection: socket.socket, wanted: bytes) -> bytes:
    """What arrives up to and with `wanted`."""
    found = b""
    while wanted not in found:
        piece = connection.recv(65536)
        assert piece, found
        found += piece
    return found


def request(path: str = "/", *lines: str, method: str = "GET", host: str = NAME, body: bytes = b"") -> bytes:
    """A request of HTTP/1.1 after which the connection is closed."""
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


def status(answer: bytes) -> int:
    """The status of the first answer; 0 if there is none."""
    first = answer.split(b"\r\n", 1)[0].split(b" ")
    return int(first[1]) if len(first) > 1 else 0


def until(
    condition: Callable[[], object], what: str, limit: float = LIMIT, told: Callable[[], object] = lambda: ""
) -> None:
    """Waits for a condition, `limit` seconds at most; after that, `told` helps to see why."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"not within {limit:g} s: {what}\n{told()}"
        time.sleep(0.02)


@contextlib.contextmanager
def edge(
    folder: Path, upstream_port: int, limits: Limits | None = None, trusted: str = "", **variables: str
) -> Iterator[Edge]:
    """An edge in front of a port of loopback. With `limits` Caddy runs alone, without the program that starts it."""
    authority = make_authority()
    authority.sign(folder / "edge.pem", variables.get("EDGE_ADDRESS", NAME))
    (folder / "secret").write_text(SECRET)
    caddy = require("caddy")["caddy"]
    environment = {
        "EDGE_LISTEN": f"127.0.0.1:{free_port()}",
        "EDGE_ADDRESS": NAME,
        "EDGE_UPSTREAM": f"127.0.0.1:{upstream_port}",
        "EDGE_CERTIFICATE_FILE": str(folder / "edge.pem"),
        "EDGE_SECRET_FILE": str(folder / "secret"),
        "EDGE_FOLDER": str(folder / "own"),
        **variables,
    }
    settings = read_settings(environment)
    log_file = folder / "log"
    with log_file.open("wb") as log:
        if limits is None:
            process = subprocess.Popen(
                [sys.executable, "-m", "images.edge.app"],
                env={**os.environ, **environment, "PATH": f"{caddy.parent}{os.pathsep}{os.environ['PATH']}"},
                cwd=CHECKOUT,
                stderr=log,
            )
        else:
            process = start(str(caddy), settings.folder, configuration(settings, limits), stderr=log)
    running = Edge(settings, authority, process, log_file, trusted)
    try:
        until(lambda: _listens(running), "the edge listens", told=lambda: f"{running.settings}\n{running.log}")
        yield running
    finally:
        # Caddy alone waits for streams without an end.
        process.send_signal(signal.SIGTERM if limits is None else signal.SIGKILL)
        try:
            process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(running: Edge) -> bool:
    assert running.process.poll() is None, running.log
    with contextlib.suppress(OSError):
        running.connect().close()
        return True
    return False
