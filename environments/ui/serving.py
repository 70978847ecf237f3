"""Runs the web page: where it listens, and how it ends."""

import signal
import socket
from types import FrameType

import structlog

from environments.addresses import is_loopback
from environments.domain.errors import PortTaken, UnsafeAddress
from environments.logging import configure_logging
from environments.serving.certificate import ServedCertificate
from environments.serving.server import make_server
from environments.ui.app import WebPage
from environments.ui.settings import UiSettings
from environments.ui.upstream import Upstream

log = structlog.get_logger()


def run(settings: UiSettings) -> None:
    """Serves until SIGTERM or SIGINT. Raises `UnsafeAddress`, `InvalidInput`, `MachineError`, `PortTaken`."""
    configure_logging()
    certificate = _certificate(settings)
    upstream = Upstream(settings)
    app = WebPage(settings, upstream)
    listener = _listen(settings)
    server = make_server(app, certificate=certificate)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    signal.signal(signal.SIGTERM, stop)
    log.info("ui.started", host=settings.host, port=listener.getsockname()[1], service=upstream.address)
    try:
        server.run(sockets=[listener])
    finally:
        upstream.close()
        log.info("ui.stopped")


def _certificate(settings: UiSettings) -> ServedCertificate | None:
    if settings.certificate_file is not None and settings.key_file is not None:
        return ServedCertificate(settings.certificate_file, settings.key_file)
    if settings.certificate_file is not None or settings.key_file is not None:
        raise UnsafeAddress("TLS needs both a certificate and a key.")
    if not is_loopback(f"http://{settings.host}"):
        raise UnsafeAddress(f"Without TLS the page doesn't listen on {settings.host}: sessions could be read.")
    return None


def _listen(settings: UiSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts; else each answer waits 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"The web page can't listen on {settings.host} port {settings.port}: {error.strerror}.",
            hint="Another one may run there; stop it, or set CALVINVERSE_UI_PORT.",
        ) from error
    return listener
