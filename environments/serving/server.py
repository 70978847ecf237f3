"""The web server; it stops without waiting for clients that read event streams."""

import socket

import uvicorn
from starlette.types import ASGIApp

from environments.serving.certificate import ServedCertificate
from environments.serving.connections import patient_protocol
from environments.serving.handshakes import CountedListener, Handshakes

STOP_SECONDS = 5
"""How long running requests may take to end when the server stops."""


class Server(uvicorn.Server):
    """A server that closes event streams, and answers waiting edges, as soon as it starts to stop.

    With TLS it shows the newest certificate in the files: it looks at them once a second.
    """

    def __init__(
        self, config: uvicorn.Config, handshakes: Handshakes, certificate: ServedCertificate | None = None
    ) -> None:
        super().__init__(config)
        self.certificate = certificate
        self._handshakes = handshakes

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes over the sockets, if any are given."""
        if self.certificate is not None and sockets is not None:
            sockets = [CountedListener(listener, self._handshakes) for listener in sockets]
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if self.certificate is not None and counter % 10 == 0:
            self.certificate.read_again()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        state = getattr(self.config.app, "state", None)
        for waiting in getattr(state, "waiting", ()):  # a worker has none: it streams nothing
            waiting.close()
        await super().shutdown(sockets)


def make_server(
    app: ASGIApp,
    host: str = "127.0.0.1",
    port: int = 8400,
    certificate: ServedCertificate | None = None,
) -> Server:
    """A server that is ready to `run()`, or to `serve()` in a loop; logs through `logging` as that is configured.

    It speaks TLS if it has a certificate.
    """
    handshakes = Handshakes()
    return Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            ssl_context_factory=None if certificate is None else lambda *_: certificate.context,
            log_config=None,
            access_log=False,
            server_header=False,
            # It would believe anybody on loopback; `environments.api.clients` believes the edge.
            proxy_headers=False,
            timeout_graceful_shutdown=STOP_SECONDS,
            timeout_keep_alive=30,
            http=patient_protocol(handshakes),
            ws="none",
            lifespan="auto",
        ),
        handshakes,
        certificate,
    )
