"""Serves `content` with HTTP over TLS: one thread for each connection; renews the certificate without a restart."""

import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .certificates import CertificateFiles
from .content import Answer, Content, text
from .settings import Settings

CONNECTION_TIMEOUT = 10.0
"""Seconds that a client may stay silent, in the handshake or between requests."""

CERTIFICATE_POLL = 0.2
"""Seconds between two checks for the first certificate."""


def log(sentence: str) -> None:
    """One line on standard error, which the orchestrator keeps."""
    print(sentence, file=sys.stderr, flush=True)


class Server(ThreadingHTTPServer):
    """Makes the TLS handshake in the thread of the connection, so that a silent client doesn't delay others."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, settings: Settings, content: Content, certificates: CertificateFiles) -> None:
        self.content = content
        self._certificates = certificates
        super().__init__((settings.address, settings.port), Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answers one connection."""
        context = self._certificates.context()
        if context is None:
            return
        request.settimeout(CONNECTION_TIMEOUT)
        with context.wrap_socket(request, server_side=True) as connection:
            Handler(connection, client_address, self)

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """Logs a line, not a traceback, for a client that disconnects or doesn't use TLS."""
        error = sys.exception()
        if isinstance(error, (ssl.SSLError, OSError)):
            log(f"connection from {client_address[0]} ended: {error}")
        else:
            log(f"connection from {client_address[0]} failed: {error!r}")


class Handler(BaseHTTPRequestHandler):
    """Routes of the service."""

    protocol_version = "HTTP/1.1"
    server_version = "web"
    sys_version = ""
    timeout = CONNECTION_TIMEOUT
    # Headers and body are two writes: without this, each answer waits 40 ms for the client's delayed acknowledgement.
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        """Answers a GET."""
        self._send(self._answer(), with_body=True)

    def do_HEAD(self) -> None:
        """Answers a HEAD: the headers of the GET."""
        self._send(self._answer(), with_body=False)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs no requests, because a health check each second would hide everything else."""

    def _answer(self) -> Answer:
        target = urlsplit(self.path)
        content = self.server.content
        if target.path == "/proof":
            return content.proof(parse_qs(target.query).get("nonce", [""])[0])
        routes: dict[str, Callable[[], Answer]] = {
            "/": content.page,
            "/api": content.state,
            "/health": content.health,
        }
        route = routes.get(target.path)
        return text(404, "there is nothing here") if route is None else route()

    def _send(self, answer: Answer, with_body: bool) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.media_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)


def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; waits until there is a certificate.

    Raises OSError when the address can't be bound.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    certificates = CertificateFiles(settings.certificate_file, settings.key_file, log)
    while certificates.context() is None:
        if stop.wait(CERTIFICATE_POLL):
            return
    with Server(settings, Content(settings), certificates) as server:
        log(f"listening on https://{server.server_address[0]!s}:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        started = time.monotonic()
        stop.wait()
        server.shutdown()
    log(f"stopped after {time.monotonic() - started:.0f} s")
