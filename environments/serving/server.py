"""The web server; it stops without waiting for clients that read event streams."""

import asyncio
import contextlib
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from environments.serving.certificate import ServedCertificate
from environments.serving.connections import patient_protocol
from environments.serving.handshakes import CountedListener, Handshakes

STOP_SECONDS = 5
"""How long running requests may take to end when the server stops."""

_TICK = 1.0
"""Seconds between two looks at the certificate, and two values of the header `Date`."""


def _nobody() -> None:
    """Nobody waits."""


class Server(uvicorn.Server):
    """A server that closes event streams, and answers waiting edges, as soon as it starts to stop.

    With TLS it shows the newest certificate in the files: it looks at them once a second. Otherwise it sleeps until
    there is a request, or `should_exit` is set, which any thread and any handler of signals may do.
    """

    def __init__(
        self, config: uvicorn.Config, handshakes: Handshakes, certificate: ServedCertificate | None = None
    ) -> None:
        self._exits = False
        self._wake: Callable[[], None] = _nobody
        super().__init__(config)
        self.certificate = certificate
        self._handshakes = handshakes

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes over the sockets, if any are given."""
        if self.certificate is not None and sockets is not None:
            sockets = [CountedListener(listener, self._handshakes) for listener in sockets]
        await super().startup(sockets)

    @property
    def should_exit(self) -> bool:
        """Whether the server is to stop."""
        return self._exits

    @should_exit.setter
    def should_exit(self, exits: bool) -> None:
        self._exits = exits
        self._wake()

    async def main_loop(self) -> None:
        """Runs until `should_exit`: uvicorn's own loop wakes ten times a second."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(woken.set)

        self._wake = wake
        try:
            while not await self.on_tick(0):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), _TICK)
        finally:
            self._wake = _nobody

    async def on_tick(self, counter: int) -> bool:
        """Called once a second, and before the server stops."""
        if self.certificate is not None:
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
