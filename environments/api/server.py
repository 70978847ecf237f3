"""The web server; it stops without waiting for clients that read event streams."""

import socket
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from environments.api.connections import patient_protocol

STOP_SECONDS = 5
"""How long running requests may take to end when the server stops."""


class Server(uvicorn.Server):
    """A server that closes event streams as soon as it starts to stop."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app = self.config.app
        assert isinstance(app, FastAPI)
        hub = getattr(app.state, "hub", None)
        if hub is not None:  # a worker has none: it streams nothing
            hub.close()
        await super().shutdown(sockets)


def make_server(
    app: FastAPI,
    host: str = "127.0.0.1",
    port: int = 8400,
    *,
    tls_certificate: Path | None = None,
    tls_key: Path | None = None,
) -> Server:
    """A server that is ready to `run()`, or to `serve()` in a loop; logs through `logging` as that is configured."""
    return Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            ssl_certfile=tls_certificate,
            ssl_keyfile=tls_key,
            log_config=None,
            access_log=False,
            server_header=False,
            # It would believe anybody on loopback; `environments.api.clients` believes the edge.
            proxy_headers=False,
            timeout_graceful_shutdown=STOP_SECONDS,
            timeout_keep_alive=30,
            http=patient_protocol(),
            ws="none",
            lifespan="on",
        )
    )
