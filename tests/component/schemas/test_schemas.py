"""A validator of schemas fetches nothing."""

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from environments.domain.errors import SchemaUnsupported
from environments.service.parameters import check_parameters
from tests.support.schemas import faults, template


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"type": "integer"}')

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}/x", paths
        finally:
            running.shutdown()
            thread.join()


def test_a_validator_fetches_nothing_by_whatever_way_it_comes_to_a_reference(server: tuple[str, list[str]]) -> None:
    """Also through places that nobody takes for schemas until a reference leads there."""
    address, paths = server
    hidden = {"type": "string", "$ref": "#/x-hidden", "x-hidden": {"$ref": address}}
    assert "leads nowhere" in faults(hidden)
    with pytest.raises(SchemaUnsupported):
        check_parameters(template(p=hidden), {"p": "x"})
    assert paths == []
