"""A real HTTP server of objects whose ids their makers know beforehand, for OpenTofu's restapi provider.

POST makes an object, or finds the one of that id: doing it again makes no second one. It counts what came into being,
and can be slow, fail, or hold a request until it is let go.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


class CountingServer:
    """Listens on a free port of loopback between `__enter__` and `__exit__`.

    `created` counts for each id how often it came into being (a second time only after it was deleted), `asked` how
    often each method was called for it. `delay`: seconds that each change takes, after which it has happened.
    """

    def __init__(self, *, delay: float = 0.0) -> None:
        self.delay = delay
        self.created: Counter[str] = Counter()
        self.deleted: Counter[str] = Counter()
        self.asked: Counter[tuple[str, str]] = Counter()
        self.failing: dict[str, int] = {}
        """Id → status that every change of it is answered with, without happening."""
        self.seen: list[tuple[str, str]] = []
        """Method and path of each request, and nothing else of it."""
        self._objects: dict[str, dict[str, Any]] = {}
        self._guard = threading.Lock()
        self._changed = threading.Condition(self._guard)
        self._held: set[str] = set()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "CountingServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=120)

    @property
    def address(self) -> str:
        """`http://127.0.0.1:<port>`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def objects(self) -> dict[str, dict[str, Any]]:
        """What is there now, by id."""
        with self._guard:
            return dict(self._objects)

    def duplicates(self) -> list[str]:
        """Ids that came into being more often than they were deleted, and once."""
        with self._guard:
            return [name for name, times in self.created.items() if times - self.deleted[name] > 1]

    def remove(self, name: str) -> None:
        """Takes an object away behind everybody's back."""
        with self._guard:
            del self._objects[name]
            self.deleted[name] += 1

    def hold(self, name: str) -> None:
        """Changes of that id happen at once, but their answer waits until `release`."""
        with self._guard:
            self._held.add(name)

    def release(self) -> None:
        """Lets every held answer go."""
        with self._changed:
            self._held.clear()
            self._changed.notify_all()

    def wait_until_asked(self, method: str, name: str, seconds: float = 30.0) -> None:
        """Waits until such a request has come; AssertionError if none does."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.asked[method, name] > 0, seconds), f"no {method} of {name}"

    def answer(self, method: str, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """What a request gets: status and JSON."""
        name = str(body["id"]) if method == "POST" else path.rpartition("/")[2]
        with self._changed:
            self.seen.append((method, path))
            self.asked[method, name] += 1
            self._changed.notify_all()
        if method == "GET":
            with self._guard:
                if path == "/objects":
                    return 200, list(self._objects.values())
                return (200, self._objects[name]) if name in self._objects else (404, {"missing": name})
        if self.delay:
            time.sleep(self.delay)
        with self._changed:
            if name in self.failing:
                return self.failing[name], {"refused": name}
            status, said = self._do(method, name, body)
            self._changed.wait_for(lambda: name not in self._held)
            return status, said

    def _do(self, method: str, name: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        if method == "DELETE":
            if self._objects.pop(name, None) is not None:
                self.deleted[name] += 1
            return 200, {}
        if method == "POST" and name not in self._objects:
            self.created[name] += 1
        elif name not in self._objects:
            return 404, {"missing": name}
        self._objects[name] = dict(body)
        return 200, self._objects[name]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: CountingServer


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        status, said = self.server.owner.answer(self.command, self.path, body)
        content = json.dumps(said).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            # Whoever asked was killed meanwhile; what it asked for has happened.
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the names that http.server wants

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""
