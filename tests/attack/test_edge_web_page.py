"""Requests that are ambiguous where the edge has the service and the web page behind it: none is inside of another."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.edge.app.configuration import CLIENT_HEADER, SECRET_HEADER
from tests.attack.test_edge import AMBIGUOUS, LIMITS
from tests.support.edge_harness import NAME, SECRET, Edge, Upstream, edge, read_all, request

OF_PAGE = "what the page passes on"
SMUGGLED = f"GET /v1/smuggled HTTP/1.1\r\nHost: {NAME}\r\nX: ".encode()


@pytest.fixture(scope="module")
def service() -> Iterator[Upstream]:
    with Upstream().running() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def page() -> Iterator[Upstream]:
    with Upstream().running() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def attacked(service: Upstream, page: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder: Path = tmp_path_factory.mktemp("edge")
    (folder / "page-secret").write_text(OF_PAGE)
    variables = {"EDGE_UI": f"127.0.0.1:{page.port}", "EDGE_UI_SECRET_FILE": str(folder / "page-secret")}
    with edge(folder, service.port, LIMITS, "", **variables) as running:
        yield running


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_no_request_for_the_service_is_smuggled_inside_of_one_for_the_page(
    attacked: Edge, service: Upstream, page: Upstream, kind: str
) -> None:
    lines, before = AMBIGUOUS[kind]
    body = before + SMUGGLED
    method = "GET" if kind == "a body of GET" else "POST"
    head = [f"{method} /outer HTTP/1.1", f"Host: {NAME}", *(line.format(length=len(body)) for line in lines)]
    with attacked.connect() as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
        connection.sendall(request("/next"))
        read_all(connection)
    # Requests that follow on the connections behind the edge are what a smuggled one would spoil.
    for path in ("/innocent/1", "/v1/innocent/1", "/innocent/2", "/v1/innocent/2"):
        assert json.loads(attacked.send(request(path)).partition(b"\r\n\r\n")[2])["path"] == path
    assert [seen.path for seen in page.seen if seen.path.startswith("/v1")] == []
    for seen in service.seen:
        assert seen.path.startswith("/v1/")
        # What was taken for a request at all was taken for one by the edge, and has its marks like any other.
        assert seen.header(SECRET_HEADER) == [SECRET]
        assert seen.header(CLIENT_HEADER) == ["127.0.0.1"]
    assert {seen.header(SECRET_HEADER)[0] for seen in page.seen} == {OF_PAGE}
    service.seen.clear()
    page.seen.clear()
