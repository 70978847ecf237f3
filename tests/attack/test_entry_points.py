"""Somebody outside who reaches the edge, and wants more of entry points than the requests of one service."""

from collections.abc import Iterator

import pytest

from environments.api.routes.edge import PATHS
from images.edge.app.configuration import CLIENT_HEADER, SECRET_HEADER
from tests.attack.test_edge import FORGED
from tests.support.edge_harness import NAME, SECRET, request, status
from tests.support.entry_point_harness import BELOW, DOMAIN, WEB, EntryPointHarness, entry_points_in


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EntryPointHarness]:
    with entry_points_in(tmp_path_factory.mktemp("attacked")) as harness:
        harness.publish()
        yield harness


@pytest.mark.parametrize("path", sorted(PATHS))
def test_a_client_can_not_ask_for_routes_through_the_edge(harness: EntryPointHarness, path: str) -> None:
    token = harness.service.tokens.first_token("root", "test")
    for shown in ("Edge x", f"Edge {SECRET}", f"Bearer {token}", f"Bearer {SECRET}", ""):
        lines = [f"Authorization: {shown}"] if shown else []
        forged = [f"{SECRET_HEADER}: {SECRET}", f"{CLIENT_HEADER}: 127.0.0.1"]
        head = [*lines, *forged, "Content-Type: application/json", "Content-Length: 14"]
        answer = harness.edge.send(request(path, *head, method="POST", body=b'{"edge":"one"}'))
        assert status(answer) == 401, answer
        assert SECRET.encode() not in answer


@pytest.mark.parametrize("host", [WEB, BELOW])
def test_headers_of_the_edge_do_not_reach_an_instance(harness: EntryPointHarness, host: str) -> None:
    assert status(harness.send(host, "/forged", *FORGED)) == 200
    seen = harness.instance.seen[-1]
    # The edge's own words on the client, and nothing else of the kind.
    allowed = {"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https", "x-forwarded-host": host}
    told = {name.lower(): value for name, value in seen.headers}
    for name, value in told.items():
        if name in allowed:
            assert value == allowed[name]
        assert not name.replace("_", "-").startswith(("calvinverse", "forwarded", "x-real", "via", "proxy")), name
    assert SECRET not in str(seen.headers)
    assert "evil" not in str(seen.headers)
    assert "192.0.2." not in str(seen.headers), "servers that make variables of headers read underscores as hyphens"


def test_a_name_of_the_service_at_an_entry_point_is_no_way_to_the_service(harness: EntryPointHarness) -> None:
    for path in ("/v1/environments", "/self/readiness", "/v1/edge/routes", f"http://{NAME}/v1/environments"):
        before = len(harness.instance.seen)
        answer = harness.send(WEB, path)
        # A whole address in the request's first line is another host than that of the connection.
        assert status(answer) == (421 if path.startswith("http:") else 200)
        assert len(harness.instance.seen) == before + (status(answer) == 200)


@pytest.mark.parametrize(
    "host", [f"web--demo.{DOMAIN}.", f"WEB--DEMO.{DOMAIN}", f"web--demo.{DOMAIN}:1", f"web--demo.{DOMAIN}@evil.example"]
)
def test_other_ways_to_write_a_host_reach_at_most_its_own_instance(harness: EntryPointHarness, host: str) -> None:
    with harness.connect(WEB) as connection:
        connection.sendall(request("/written", host=host))
        answer = connection.recv(65536)
    assert status(answer) in (0, 200, 400, 421)
    assert b"calvinverse" not in answer.lower()
