"""The states of modules beside each worker: its OpenTofu reaches them on loopback, whatever the API listens on.

So a worker needs neither the API's address nor its certificate, and what it runs can't reach another worker's.
"""

import socket
import threading

from fastapi import FastAPI

from environments.api import problems
from environments.api.bodies import Limited
from environments.api.guard import Authenticated, Watched
from environments.api.routes.module_states import module_state_routes
from environments.domain.errors import PortTaken
from environments.service.module_states import ModuleStates
from environments.service.tokens import Tokens
from environments.serving.server import make_server

_HOST = "127.0.0.1"
_STOP_SECONDS = 10.0


class StateServer:
    """Serves `/v1/modules` on a free port of loopback from `start` to `stop`."""

    def __init__(self, tokens: Tokens, states: ModuleStates) -> None:
        self._app = _app(tokens, states)
        self._address = ""
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """`http://127.0.0.1:<port>`; empty before `start`."""
        return self._address

    def start(self) -> None:
        """Starts to listen and to answer requests. Raises `PortTaken` when no port is free."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.bind((_HOST, 0))
            listener.listen(64)
        except OSError as error:
            listener.close()
            raise PortTaken(f"No port of {_HOST} is free for the states of modules: {error.strerror}.") from error
        self._address = f"http://{_HOST}:{listener.getsockname()[1]}"
        self._server = make_server(self._app, _HOST, 0)
        run = self._server.run
        self._thread = threading.Thread(target=lambda: run(sockets=[listener]), name="module-states", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops the server; call it after the last OpenTofu of this process has ended."""
        if self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_STOP_SECONDS)
            self._thread = None


def _app(tokens: Tokens, states: ModuleStates) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    problems.install(app)
    app.add_middleware(Limited)
    app.add_middleware(Authenticated, tokens=tokens, states=states)
    app.add_middleware(Watched, observer=lambda method, route, status, seconds: None)
    app.include_router(module_state_routes(states))
    return app
