"""Entry points at a real Caddy, with the API and its database behind it: what is served, and what changes do."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from environments.domain.errors import BackendUnavailable
from environments.domain.lifecycle import State
from environments.steps.entry_points import Healthy
from images.edge.app.configuration import CLIENT_HEADER, SECRET_HEADER
from tests.fakes.service import listening, make_service
from tests.support import http2_frames as h2
from tests.support.authorities import make_authority
from tests.support.edge_harness import (
    LIMIT,
    SECRET,
    Upstream,
    edge,
    handshake,
    read_all,
    receive,
    request,
    status,
    until,
)
from tests.support.entry_point_harness import BELOW, DOMAIN, WEB, EntryPointHarness, entry_points_in


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[EntryPointHarness]:
    with entry_points_in(tmp_path) as found:
        yield found


def test_both_names_lead_to_the_instance(harness: EntryPointHarness) -> None:
    harness.publish()
    for host in (WEB, BELOW):
        answer = harness.send(host, "/page?a=b", "Content-Length: 2", method="POST", body=b"{}")
        assert status(answer) == 200, answer
        seen = harness.instance.seen[-1]
        assert (seen.method, seen.path, seen.body, seen.header("Host")) == ("POST", "/page?a=b", b"{}", [host])


def test_an_instance_learns_the_client_and_nothing_that_was_forged(harness: EntryPointHarness) -> None:
    harness.publish()
    forged = [
        f"{CLIENT_HEADER}: 192.0.2.1",
        f"{SECRET_HEADER}: guess",
        "Calvinverse-User: root",
        "X-Forwarded-For: 192.0.2.2",
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Proto: http",
        "Forwarded: for=192.0.2.3",
        "X-Real-Ip: 192.0.2.4",
    ]
    assert status(harness.send(WEB, "/", *forged)) == 200
    seen = harness.instance.seen[-1]
    assert seen.header("X-Forwarded-For") == ["127.0.0.1"]
    assert seen.header("X-Forwarded-Proto") == ["https"]
    assert seen.header("X-Forwarded-Host") == [WEB]
    told = [name.lower() for name, _ in seen.headers]
    assert not [name for name in told if name.startswith(("calvinverse", "forwarded", "x-real", "via"))]
    assert SECRET not in str(seen.headers)


def test_a_stream_of_events_passes_as_it_comes(harness: EntryPointHarness) -> None:
    harness.publish()
    with harness.connect() as connection:
        connection.sendall(request("/events", host=WEB))
        receive(connection, b"\r\n\r\n")
        for number in range(3):
            harness.instance.events.append(b"data: %d\n\n" % number)
            receive(connection, b"data: %d\n\n" % number)


def test_a_socket_passes_and_outlives_changes_of_routes(harness: EntryPointHarness) -> None:
    harness.publish()
    with harness.connect() as connection:
        upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA=="]
        lines = ["GET /socket HTTP/1.1", f"Host: {WEB}", *upgrade, "", ""]
        connection.sendall("\r\n".join(lines).encode())
        assert b" 101 " in receive(connection, b"\r\n\r\n")
        connection.sendall(b"before")
        receive(connection, b"before")
        # Another route comes, and with it another certificate.
        harness.publish("api")
        connection.sendall(b"after")
        receive(connection, b"after")


def test_a_large_body_passes(harness: EntryPointHarness) -> None:
    harness.publish()
    size = 40 * 1024 * 1024
    answer = harness.send(WEB, "/", f"Content-Length: {size}", method="POST", body=bytes(size))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["length"] == size


def test_http2_is_spoken(harness: EntryPointHarness) -> None:
    harness.publish()
    for host in (WEB, BELOW):
        with harness.connect(host, alpn=("h2",)) as connection:
            assert connection.selected_alpn_protocol() == "h2"
            asked = {":method": "GET", ":scheme": "https", ":authority": host, ":path": f"/two/{host}"}
            connection.sendall(h2.preface() + h2.headers(1, asked))
            until(partial(arrived, harness, f"/two/{host}"), "the request arrives")
            # The first field of the answer's head is `:status: 200` (RFC 7541, appendix A).
            receive(connection, bytes([h2.HEADERS, h2.END_HEADERS, 0, 0, 0, 1, 0x88]))
            connection.sendall(h2.goaway())


def arrived(harness: EntryPointHarness, path: str) -> bool:
    """Whether the instance has got a request for that path."""
    return any(seen.path == path for seen in harness.instance.seen)


def test_one_certificate_has_the_wildcard_and_the_written_out_names(harness: EntryPointHarness) -> None:
    harness.publish()
    harness.publish("api")
    wanted = {f"*.demo.{DOMAIN}", WEB, f"api--demo.{DOMAIN}"}
    # While the configuration before is being left, its certificate is shown too.
    until(lambda: all(names_shown(harness, host) == wanted for host in (WEB, BELOW)), "both names have the certificate")


def names_shown(harness: EntryPointHarness, host: str) -> set[object]:
    """The names in the certificate for a host."""
    with harness.connect(host) as connection:
        found = connection.getpeercert()
    assert found is not None
    return {pair[1] for pair in found["subjectAltName"]}


def test_the_key_of_a_certificate_is_in_no_file(harness: EntryPointHarness) -> None:
    harness.publish()
    for file in harness.folder.rglob("*"):
        if file.is_file() and file != harness.folder / "edge.pem":
            assert "PRIVATE KEY" not in file.read_text(errors="replace"), file
    assert "PRIVATE KEY" not in harness.edge.log


@pytest.mark.parametrize("host", [f"other--demo.{DOMAIN}", f"other.demo.{DOMAIN}", f"web--demo2.{DOMAIN}", DOMAIN])
def test_other_names_get_no_handshake(harness: EntryPointHarness, host: str) -> None:
    harness.publish()
    with pytest.raises(ssl.SSLError):
        harness.connect(host)


def test_a_connection_for_one_name_asks_for_no_other_one(harness: EntryPointHarness) -> None:
    harness.publish()
    for other in (BELOW, "calvinverse.localhost", "evil.example"):
        with harness.connect(WEB) as connection:
            connection.sendall(request("/stolen", host=other))
            assert status(read_all(connection)) in (0, 421)
    assert not [seen for seen in harness.instance.seen if seen.path == "/stolen"]


def test_without_a_healthy_instance_a_page_says_so_and_names_nothing(harness: EntryPointHarness) -> None:
    harness.publish()
    harness.put("web", "demo", Healthy())
    until(lambda: status(harness.send()) == 503, "nobody is asked any more")
    answer = harness.send()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b"No instance of this service is healthy at the moment.\n"
    assert b"127.0.0.1" not in answer
    assert b"text/plain" in head
    assert b"caddy" not in head.lower()
    harness.put("web", "demo", Healthy((f"127.0.0.1:{harness.instance.port}",)))
    until(lambda: status(harness.send()) == 200, "the instance is asked again")


def test_an_instance_that_does_not_answer_is_an_error_that_names_nothing(harness: EntryPointHarness) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        harness.publish(healthy=Healthy((f"127.0.0.1:{closed.getsockname()[1]}",)))
        answer = harness.send()
    assert status(answer) == 502
    assert answer.partition(b"\r\n\r\n")[2] == b"502 Bad Gateway\n"


def test_requests_go_on_while_routes_change_and_none_is_lost(harness: EntryPointHarness) -> None:
    harness.publish()
    over, answers = threading.Event(), list[int]()
    thread = threading.Thread(target=asking, args=(harness, over, answers))
    thread.start()
    for _ in range(2):
        harness.publish("api")
        harness.withdraw("api")
    over.set()
    thread.join(LIMIT)
    assert len(answers) > 3
    assert set(answers) == {200}


def asking(harness: EntryPointHarness, over: threading.Event, answers: list[int]) -> None:
    """Asks again and again, each time with a new connection."""
    while not over.is_set():
        answer = harness.send()
        answers.append(status(answer))


def test_a_withdrawn_route_is_gone_when_it_is_said_to_be(harness: EntryPointHarness) -> None:
    harness.publish()
    harness.publish("api")
    with harness.connect() as begun:
        begun.sendall(request("/slow", "Content-Length: 4", method="POST", host=WEB, body=b"12"))
        until(lambda: "/slow" in harness.instance.begun, "the request has begun")
        harness.withdraw()
        with pytest.raises(ssl.SSLError):
            harness.connect(WEB)
        # What has begun ends well.
        begun.sendall(b"34")
        assert status(read_all(begun)) == 200
    assert status(harness.send(f"api--demo.{DOMAIN}")) == 200


def test_a_certificate_is_renewed_while_requests_go_on(tmp_path: Path) -> None:
    with entry_points_in(tmp_path) as harness:
        harness.service.edge_routes.certificates.seconds = 3.0
        harness.publish()
        over, answers = threading.Event(), list[int]()
        thread = threading.Thread(target=asking, args=(harness, over, answers))
        thread.start()
        first = shown(harness)
        until(lambda: shown(harness) != first, "the certificate is renewed")
        over.set()
        thread.join(LIMIT)
        assert set(answers) == {200}


def shown(harness: EntryPointHarness) -> bytes:
    """The certificate (DER) of an entry point."""
    with harness.connect() as connection:
        found = connection.getpeercert(binary_form=True)
    assert found is not None
    return found


@pytest.mark.parametrize(("name", "known", "wanted"), [("web", True, 200), ("other", True, 502), ("web", False, 502)])
def test_an_instance_with_tls_is_verified(harness: EntryPointHarness, name: str, known: bool, wanted: int) -> None:
    signs = harness.service.edge_routes.certificates.made if known else make_authority()
    file = signs.sign(harness.folder / "instance.pem", f"demo--{name}.service.consul")
    with Upstream().running(file) as instance:
        harness.publish(healthy=Healthy((f"127.0.0.1:{instance.port}",), tls=True))
        assert status(harness.send()) == wanted
        assert len(instance.seen) == (1 if wanted == 200 else 0)


def test_the_edge_goes_on_while_the_service_is_away_or_knows_nothing(tmp_path: Path) -> None:
    with entry_points_in(tmp_path) as harness:
        harness.publish()
        harness.service.edge_routes.instances.failure = BackendUnavailable("Consul doesn't answer.")
        asked = harness.service.edge_routes.instances.asked
        harness.service.edge_routes.news.tell()
        until(lambda: harness.service.edge_routes.instances.asked > asked, "instances are asked for")
        assert status(harness.send()) == 200


def test_an_edge_that_restarts_has_all_routes_before_it_is_ready(tmp_path: Path) -> None:
    with entry_points_in(tmp_path) as harness:
        harness.publish()
        again = tmp_path / "again"
        again.mkdir()
        with edge(again, urlsplit(harness.address).port or 0, EDGE_ENTRY_DOMAIN=DOMAIN) as second:
            until(lambda: status(second.send(request("/self/readiness"))) == 200, "it is ready")
            context = harness.service.edge_routes.certificates.made.context()
            with handshake(context, ("127.0.0.1", second.settings.port), WEB) as connection:
                connection.sendall(request("/", host=WEB))
                assert status(read_all(connection)) == 200


def test_an_environment_that_is_destroyed_leaves_no_route(harness: EntryPointHarness) -> None:
    harness.publish()
    harness.service.finish("demo", State.READY)
    assert [
        found.service for found in harness.service.reading.environment(harness.service.admin, "demo").entry_points
    ] == ["web"]
    harness.withdraw()
    assert harness.service.reading.environment(harness.service.admin, "demo").entry_points == ()


def test_an_edge_before_a_service_without_entry_points_is_ready(tmp_path: Path) -> None:
    service = make_service(tmp_path / "service")
    try:
        # The service doesn't know the edge's secret, and so refuses to say anything of routes.
        with (
            listening(service) as address,
            edge(tmp_path, urlsplit(address).port or 0, EDGE_ENTRY_DOMAIN=DOMAIN) as running,
        ):
            until(lambda: status(running.send(request("/self/readiness"))) == 200, "it is ready")
    finally:
        service.database.close()
