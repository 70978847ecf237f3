"""A small real HTTP server for OpenTofu's HTTP backend, on states in memory."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from environments.steps.base import Holder
from tests.fakes.backends.module_states import MemoryModuleStates


class StateServer:
    """Serves `states` on a free port of loopback between `__enter__` and `__exit__`.

    `requests` are methods in the order in which they came. While `broken` is set, writes are answered with 503.
    """

    def __init__(self) -> None:
        self.states = MemoryModuleStates()
        self.requests: list[str] = []
        self.broken = False
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self.states.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "StateServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=120)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: StateServer


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        owner = self.server.owner
        owner.requests.append(self.command)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        _, environment, step = path.split("/")
        place = (environment, step)
        given = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        who = owner.states.who(given.partition(":")[2], place)
        if who is None:
            self._answer(401, b"")
        else:
            self._answer(*self._do(place, who, query.removeprefix("ID="), body))

    def _do(
        self, place: tuple[str, str], who: tuple[int, Holder | None], lock_id: str, body: bytes
    ) -> tuple[int, bytes]:
        states, holder = self.server.owner.states, who[1]
        if self.command == "GET":
            content = states.read(place)
            return (200, content) if content is not None else (404, b"")
        if holder is None:
            return 403, b""
        if self.command == "POST":
            if self.server.owner.broken:
                return 503, b""
            return (200 if states.write(place, holder, lock_id, body) else 409), b""
        info: dict[str, Any] = json.loads(body) if body else {}
        if self.command == "LOCK":
            theirs = states.take_lock(place, who, info)
            return (200, b"") if theirs is None else (423, json.dumps(theirs).encode())
        return (200 if states.drop_lock(place, info.get("ID", "")) else 409), b""

    def _answer(self, status: int, content: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_DELETE = do_LOCK = do_UNLOCK = _serve  # noqa: N815 - the names that http.server wants

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""
