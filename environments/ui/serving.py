"""Runs the web page: where it listens, and how it ends."""

import signal
from types import FrameType

import structlog

from environments.logging import configure_logging
from environments.serving.listening import certificate_of, listen
from environments.serving.server import make_server
from environments.ui.app import WebPage
from environments.ui.settings import UiSettings
from environments.ui.upstream import Upstream

log = structlog.get_logger()


def run(settings: UiSettings) -> None:
    """Serves until SIGTERM or SIGINT. Raises `UnsafeAddress`, `InvalidInput`, `MachineError`, `PortTaken`."""
    configure_logging()
    certificate = certificate_of(
        settings.host,
        settings.certificate_file,
        settings.key_file,
        who="the page",
        risk="sessions could be read",
        hint="Set CALVINVERSE_UI_CERTIFICATE_FILE and CALVINVERSE_UI_KEY_FILE, or listen on 127.0.0.1.",
    )
    upstream = Upstream(settings)
    app = WebPage(settings, upstream)
    listener = listen(
        settings.host,
        settings.port,
        who="The web page",
        hint="Another one may run there; stop it, or set CALVINVERSE_UI_PORT.",
    )
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
