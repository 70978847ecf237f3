"""Somebody who reaches the edge from outside: forged headers, other names, requests that are large, slow or ambiguous.

It stands in front of a service that records what arrives, and needs no deployed one.
"""

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Iterable, Iterator

import pytest

from images.edge.app.configuration import CLIENT_HEADER, SECRET_HEADER, Limits
from tests.support import http2_frames as h2
from tests.support.edge_harness import NAME, SECRET, Edge, Upstream, edge, read_all, request, status

LIMITS = Limits(largest_head=16 * 1024, largest_body=1024 * 1024, head=5.0, stalled=5.0, slowest=100_000)
"""Shorter than those that are deployed, so that a test sees their end."""

FORGED = (
    "X-Forwarded-For: 192.0.2.1",
    "x-forwarded-for: 192.0.2.2",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Proto: http",
    "X-Forwarded-Port: 1",
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded: for=192.0.2.1",
    "X_Forwarded_For: 192.0.2.1",
    "X-Forwarded_For: 192.0.2.1",
    "X_Forwarded-Host: evil.example",
    "X_Real_IP: 192.0.2.1",
    "X-Real_IP: 192.0.2.1",
    "True_Client_IP: 192.0.2.1",
    "X_HTTP_Method_Override: DELETE",
    f"{CLIENT_HEADER.replace('-', '_')}: 192.0.2.1",
    f"{SECRET_HEADER.replace('-', '_')}: evil",
    "Any_Name: evil",
    "Forwarded: for=192.0.2.1;host=evil.example;proto=http",
    "X-Real-IP: 192.0.2.1",
    "X-Client-IP: 192.0.2.1",
    "X-Cluster-Client-IP: 192.0.2.1",
    "X-Original-URL: /evil",
    "X-Rewrite-URL: /evil",
    "X-HTTP-Method-Override: DELETE",
    "True-Client-IP: 192.0.2.1",
    "CF-Connecting-IP: 192.0.2.1",
    "Via: 1.1 evil",
    "Proxy: http://evil.example",
    f"{SECRET_HEADER}: {SECRET}",
    f"{SECRET_HEADER.lower()}: another",
    f"{CLIENT_HEADER}: 192.0.2.1",
    f"{CLIENT_HEADER.upper()}: 192.0.2.2",
    f"{CLIENT_HEADER.replace('-', '_')}: 192.0.2.3",
    "Calvinverse-Other: 192.0.2.1",
)


@pytest.fixture(scope="module")
def service() -> Iterator[Upstream]:
    with Upstream().running() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def attacked(service: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with edge(tmp_path_factory.mktemp("edge"), service.port, LIMITS) as running:
        yield running
        assert status(running.send(request("/afterwards"))) == 200, running.log


def test_forged_headers_don_t_reach_the_service(attacked: Edge, service: Upstream) -> None:
    # Also named by Connection, which makes a proxy drop them: those of the edge itself must arrive all the same.
    answer = attacked.send(request("/forged", *FORGED, f"Connection: {CLIENT_HEADER}, {SECRET_HEADER}"))
    assert status(answer) == 200
    seen = next(seen for seen in service.seen if seen.path == "/forged")
    assert seen.header(CLIENT_HEADER) == ["127.0.0.1"]
    assert seen.header(SECRET_HEADER) == [SECRET]
    assert "192.0.2." not in str(seen.headers)
    assert "evil" not in str(seen.headers)
    names = {name.lower() for name, _ in seen.headers}
    assert names <= {"host", "user-agent", "accept-encoding", CLIENT_HEADER.lower(), SECRET_HEADER.lower()}


@pytest.mark.parametrize("where", ["Trailer", "trailers without notice"])
def test_forged_trailers_don_t_reach_the_service(attacked: Edge, service: Upstream, where: str) -> None:
    told = [f"Trailer: {CLIENT_HEADER}"] if where == "Trailer" else []
    body = f"2\r\n{{}}\r\n0\r\n{CLIENT_HEADER}: 192.0.2.1\r\n\r\n".encode()
    attacked.send(request("/trailers", "Transfer-Encoding: chunked", *told, method="POST", body=body))
    assert [seen for seen in service.seen if "192.0.2." in str(seen.headers)] == []


@pytest.mark.parametrize("name", ["evil.example", "localhost", f"a.{NAME}", f"{NAME}.evil.example", None])
def test_no_handshake_for_another_name(attacked: Edge, name: str | None) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)) as refused:
        attacked.connect(name).close()
    assert not isinstance(refused.value, ssl.SSLCertVerificationError)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", f"a.{NAME}", f"{NAME}.evil.example", f"{NAME}@evil", ""])
def test_nothing_is_said_to_a_request_for_another_host(attacked: Edge, service: Upstream, host: str) -> None:
    before = len(service.seen)
    answer = attacked.send(request("/other", host=host))
    # Go refuses what is no name before the edge's routes see it.
    assert answer == b"" or status(answer) == 400, answer
    assert b"caddy" not in answer.lower()
    assert len(service.seen) == before


def test_nothing_is_said_to_a_request_with_two_hosts_or_none(attacked: Edge, service: Upstream) -> None:
    before = len(service.seen)
    for lines in (b"Host: %s\r\nHost: evil.example\r\n" % NAME.encode(), b""):
        answer = attacked.send(b"GET / HTTP/1.1\r\n" + lines + b"\r\n")
        assert status(answer) == 400
    assert attacked.send(b"GET / HTTP/1.0\r\n\r\n") == b""
    assert attacked.send(b"GET http://evil.example/ HTTP/1.1\r\nHost: %s\r\n\r\n" % NAME.encode()) == b""
    assert len(service.seen) == before


def test_plain_http_on_its_port_says_nothing_of_the_service(attacked: Edge, service: Upstream) -> None:
    before = len(service.seen)
    with socket.create_connection(("127.0.0.1", attacked.settings.port), timeout=60) as plain:
        plain.sendall(request("/plain", "Authorization: Bearer secret"))
        answer = read_all(plain)
    assert answer == b"" or status(answer) == 400
    for word in (b"calvinverse", b"caddy", b"location", b"secret", b"server:"):
        assert word not in answer.lower()
    assert len(service.seen) == before


@pytest.mark.parametrize(
    "lines",
    [["X-Large: " + "a" * 64 * 1024], [f"X-{number}: " + "a" * 100 for number in range(1000)]],
    ids=["one", "many"],
)
def test_huge_headers_are_refused(attacked: Edge, service: Upstream, lines: list[str]) -> None:
    before = len(service.seen)
    assert status(attacked.send(request("/large", *lines))) in (0, 431)
    assert len(service.seen) == before


def test_a_huge_path_is_refused(attacked: Edge) -> None:
    assert status(attacked.send(request("/" + "a" * 64 * 1024))) in (0, 431)


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_huge_bodies_are_refused(attacked: Edge, service: Upstream, announced: bool) -> None:
    large = b"a" * (2 * LIMITS.largest_body)
    lines = [f"Content-Length: {len(large)}"] if announced else ["Transfer-Encoding: chunked"]
    body = large if announced else b"%x\r\n%s\r\n0\r\n\r\n" % (len(large), large)
    assert status(attacked.send(request("/huge", *lines, method="POST", body=body))) in (0, 413)
    assert [seen for seen in service.seen if seen.path == "/huge"] == []


def ends(connection: socket.socket, dripping: bytes = b"", head: bytes = b"") -> float:
    """Seconds until the other side closes; a byte of `dripping` is sent ten times a second."""
    began = time.monotonic()
    connection.sendall(head)
    connection.settimeout(0.1)
    left = dripping
    while True:
        try:
            if not connection.recv(65536):
                break
        except TimeoutError:
            assert time.monotonic() - began < 60, "it is still open"
            try:
                connection.sendall(left[:1])
            except OSError:
                break
            left = left[1:]
        except OSError:
            break
    return time.monotonic() - began


def test_slow_headers_end(attacked: Edge) -> None:
    with attacked.connect() as connection:
        ends(connection, dripping=b"GET / HTTP/1.1\r\nX-Slow: " + b"a" * 2000)


def test_a_handshake_that_is_never_finished_ends(attacked: Edge) -> None:
    with socket.create_connection(("127.0.0.1", attacked.settings.port)) as plain:
        ends(plain, head=b"\x16\x03\x01")


def test_a_connection_without_a_request_ends(attacked: Edge) -> None:
    with attacked.connect() as connection:
        ends(connection)


def test_slow_bodies_end_and_nothing_of_them_is_done(attacked: Edge, service: Upstream) -> None:
    with attacked.connect() as connection:
        head = request("/slow", "Content-Length: 100000", method="POST")
        ends(connection, head=head, dripping=b"a" * 2000)
    assert [seen for seen in service.seen if seen.path == "/slow"] == []


def test_others_are_answered_while_many_connections_are_slow(attacked: Edge) -> None:
    slow = [attacked.connect() for _ in range(200)]
    try:
        for connection in slow:
            with contextlib.suppress(OSError):  # the first ones may have ended, if the others took long
                connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert status(attacked.send(request("/meanwhile"))) == 200
    finally:
        for connection in slow:
            connection.close()


SMUGGLED = f"GET /smuggled HTTP/1.1\r\nHost: {NAME}\r\nX: ".encode()
AMBIGUOUS = {
    "length and chunks": (["Content-Length: {length}", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
    "chunks and length": (["Transfer-Encoding: chunked", "Content-Length: 6"], b"0\r\n\r\n"),
    "two lengths": (["Content-Length: 0", "Content-Length: {length}"], b""),
    "a list of lengths": (["Content-Length: 0, {length}"], b""),
    "a length with a sign": (["Content-Length: +0"], b""),
    "a length in base 16": (["Content-Length: 0x0"], b""),
    "a space before the colon": (["Content-Length : {length}"], b""),
    "chunks, spelt otherwise": (["Transfer-Encoding: xchunked", "Content-Length: {length}"], b""),
    "chunks twice": (["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], b"0\r\n\r\n"),
    "chunks by a tab": (["Transfer-Encoding:\tchunked", "Content-Length: {length}"], b"0\r\n\r\n"),
    "chunks by a folded line": (["Transfer-Encoding:", " chunked", "Content-Length: {length}"], b"0\r\n\r\n"),
    "chunks by a vertical tab": (["Transfer-Encoding: \x0bchunked", "Content-Length: {length}"], b"0\r\n\r\n"),
    "chunks in the name of a header": (["X: x\nTransfer-Encoding: chunked", "Content-Length: {length}"], b"0\r\n\r\n"),
    "a chunk with a wrong size": (["Transfer-Encoding: chunked"], b"0x\r\n\r\n"),
    "a chunk that ends with a newline alone": (["Transfer-Encoding: chunked"], b"2\r\n{}\n0\r\n\r\n"),
    "a body of GET": (["Content-Length: {length}"], b""),
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_no_request_is_smuggled_inside_of_another(attacked: Edge, service: Upstream, kind: str) -> None:
    """The service and the edge agree where a request ends; or the edge refuses it."""
    lines, before = AMBIGUOUS[kind]
    body = before + SMUGGLED
    method = "GET" if kind == "a body of GET" else "POST"
    head = [f"{method} /outer HTTP/1.1", f"Host: {NAME}", *(line.format(length=len(body)) for line in lines)]
    with attacked.connect() as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
        connection.sendall(request("/next"))
        read_all(connection)
    # Requests that follow on the connections between edge and service are what a smuggled one would spoil.
    for number in range(3):
        answer = attacked.send(request(f"/innocent/{number}"))
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["path"] == f"/innocent/{number}"
    for seen in service.seen:
        if seen.path == "/smuggled":
            # Then the edge itself took it for one, and it has the edge's marks like any other.
            assert seen.header(SECRET_HEADER) == [SECRET]
            assert seen.header(CLIENT_HEADER) == ["127.0.0.1"]
    service.seen.clear()


@pytest.mark.parametrize(
    "fields",
    [
        {"transfer-encoding": "chunked"},
        {"connection": "keep-alive"},
        {"content-length": "1\r\nX-Injected: evil"},
        {"x": "a\r\n\r\nGET /smuggled HTTP/1.1"},
        {"x: y\r\nx": "a"},
        {":path": "/ HTTP/1.1\r\nHost: evil.example\r\nX: "},
        {":authority": "evil.example"},
        {"host": "evil.example"},
    ],
    ids=str,
)
def test_nothing_is_smuggled_by_http2(attacked: Edge, service: Upstream, fields: dict[str, str]) -> None:
    with attacked.connect(alpn=("h2",)) as connection:
        wanted = {":method": "GET", ":scheme": "https", ":authority": NAME, ":path": "/two", **fields}
        connection.sendall(h2.preface() + h2.headers(1, wanted) + h2.goaway())
        read_all(connection)
    for seen in service.seen:
        assert "evil" not in str(seen.headers)
        assert "smuggled" not in seen.path
        assert seen.header("Host") == [NAME]
    service.seen.clear()


def test_rapid_resets_don_t_keep_others_waiting(attacked: Edge, service: Upstream) -> None:
    wanted = {":method": "GET", ":scheme": "https", ":authority": NAME, ":path": "/reset"}
    with attacked.connect(alpn=("h2",)) as connection:
        connection.sendall(h2.preface())
        # Whether the edge ends the connection or answers all of it: others are answered.
        refuses(
            connection,
            (
                b"".join(h2.headers(stream, wanted) + h2.reset(stream) for stream in range(first, first + 200, 2))
                for first in range(1, 20_000, 200)
            ),
        )
        assert status(attacked.send(request("/meanwhile"))) == 200


def test_endless_continuations_end(attacked: Edge) -> None:
    wanted = {":method": "GET", ":scheme": "https", ":authority": NAME, ":path": "/long"}
    with attacked.connect(alpn=("h2",)) as connection:
        connection.sendall(h2.preface() + h2.headers(1, wanted, last=False))
        connection.settimeout(60)
        assert refuses(connection, (h2.continuation(1, {f"x-{number}": "a" * 8000}) for number in range(2_000)))


def refuses(connection: socket.socket, pieces: Iterable[bytes]) -> bool:
    """Whether the other side closes the connection before it has taken all pieces."""
    try:
        for piece in pieces:
            connection.sendall(piece)
    except OSError:
        return True
    return False
