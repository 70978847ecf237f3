"""What the edge's configuration makes of a real Caddy: one name over TLS, streams, and nothing that is written down."""

import json
import signal
import socket
import ssl
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from images.edge.app.configuration import CLIENT_HEADER, SECRET_HEADER, Limits
from tests.support.authorities import DAY, MadeAuthority, make_authority
from tests.support.edge_harness import (
    NAME,
    SECRET,
    Edge,
    Seen,
    Upstream,
    edge,
    read_all,
    receive,
    request,
    status,
    until,
)
from tests.support.service_process import free_port

FOREIGN = make_authority("foreign")


@pytest.fixture(scope="module")
def service() -> Iterator[Upstream]:
    with Upstream().running() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def running(service: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """An edge that no test changes."""
    with edge(tmp_path_factory.mktemp("edge"), service.port) as running:
        yield running


def test_a_request_reaches_the_service_with_its_client_and_the_edges_secret(running: Edge, service: Upstream) -> None:
    answer = running.send(
        request("/v1/one?a=b", "Authorization: Bearer t", "Content-Length: 2", method="POST", body=b"{}")
    )
    assert status(answer) == 200
    seen = service.seen[-1]
    assert (seen.method, seen.path, seen.body) == ("POST", "/v1/one?a=b", b"{}")
    assert seen.header("Host") == [NAME]
    assert seen.header("Authorization") == ["Bearer t"]
    assert seen.header(SECRET_HEADER) == [SECRET]
    assert seen.header(CLIENT_HEADER) == ["127.0.0.1"]


def test_an_answer_says_nothing_of_the_programs_behind_it(running: Edge) -> None:
    head = running.send(request("/")).split(b"\r\n\r\n")[0].lower()
    assert b"server:" not in head
    assert b"via:" not in head
    assert b"caddy" not in head
    assert b"alt-svc" not in head


def test_both_versions_of_http_are_offered(running: Edge) -> None:
    with running.connect(alpn=("h2", "http/1.1")) as connection:
        assert connection.selected_alpn_protocol() == "h2"
    with running.connect(alpn=("http/1.1",)) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")  # that they are old is the point
def test_old_versions_of_tls_are_refused(running: Edge) -> None:
    context = running.authority.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", running.settings.port), timeout=30) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)version"),
    ):
        context.wrap_socket(plain, server_hostname=NAME)


def test_a_client_of_another_authority_refuses_it(running: Edge) -> None:
    with (
        socket.create_connection(("127.0.0.1", running.settings.port), timeout=30) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        make_authority().context().wrap_socket(plain, server_hostname=NAME)


def test_events_pass_as_they_come_and_end_with_their_reader(tmp_path: Path) -> None:
    with Upstream().running() as service, edge(tmp_path, service.port) as running:
        with running.connect() as connection:
            connection.sendall(request("/events"))
            receive(connection, b"\r\n\r\n")
            for number in range(3):
                # Each arrives while the stream goes on: nothing waits for a buffer to fill.
                service.events.append(b"data: %d\n\n" % number)
                receive(connection, b"data: %d\n\n" % number)
        assert service.ended.wait(60)


def test_a_service_that_is_away_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    port = free_port()
    # Longer than what is deployed: the service of this test may take its time to start.
    with edge(tmp_path, port, Limits(connecting=60.0)) as running, running.connect() as connection:
        connection.sendall(request("/"))
        with Upstream(port=port).running() as service:
            assert status(read_all(connection)) == 200
            assert len(service.seen) == 1


def test_a_service_that_stays_away_is_a_problem_that_names_nothing(tmp_path: Path) -> None:
    with edge(tmp_path, free_port()) as running:
        answer = running.send(request("/"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) == 502
    assert b"application/problem+json" in head
    assert json.loads(body) == {
        "type": "about:blank",
        "title": "Bad Gateway",
        "status": 502,
        "code": "service_unavailable",
        "detail": "The edge answers, but the service behind it doesn't.",
        "details": {"status": 502},
    }


def test_its_admin_api_is_a_socket_for_its_user_alone(running: Edge) -> None:
    mode = running.settings.socket.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(running.settings.folder.stat().st_mode) == 0o700
    assert listening(children(running.process.pid)) == {running.settings.port}


def test_nothing_of_its_configuration_or_its_keys_is_written_down(running: Edge) -> None:
    key = running.certificate_file.read_text().partition("PRIVATE KEY-----")[2][:40]
    for file in running.settings.folder.rglob("*"):
        if file.is_file():
            text = file.read_text(errors="replace")
            assert SECRET not in text
            assert key not in text
            assert "reverse_proxy" not in text
    assert SECRET not in running.log


def test_its_log_has_clients_and_paths_but_neither_headers_nor_queries(running: Edge) -> None:
    running.send(request("/logged?token=in-the-query", "Authorization: Bearer in-a-header", "Cookie: in-a-cookie"))
    until(lambda: "/logged" in running.log, "the request is logged")
    lines = [json.loads(line) for line in running.log.splitlines() if "/logged" in line]
    assert [line["request"]["client_ip"] for line in lines] == ["127.0.0.1"]
    assert [line["request"]["uri"] for line in lines] == ["/logged"]
    assert "in-the-query" not in running.log
    assert "in-a-header" not in running.log
    assert "in-a-cookie" not in running.log


def test_it_stops_although_a_stream_is_open(tmp_path: Path) -> None:
    with Upstream().running() as service, edge(tmp_path, service.port) as running, running.connect() as connection:
        connection.sendall(request("/events"))
        receive(connection, b"\r\n\r\n")
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 0
        read_all(connection)


def children(pid: int) -> list[int]:
    """A process and those that it has started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += children(int(child))
    return found


def listening(pids: list[int]) -> set[int]:
    """The TCP ports that processes listen on."""
    owned = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                owned.add(str(descriptor.readlink()))
            except FileNotFoundError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pids[0]}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in owned:
                found.add(int(fields[1].rpartition(":")[2], 16))
    return found


SERVICE = "provisioning.calvinverse.internal"


def ask_behind(folder: Path, shown: MadeAuthority, *names: str, ends: timedelta = DAY) -> tuple[int, list[Seen]]:
    """The status of a request with a token to an edge that verifies the service, and what was heard behind it."""
    pinned = make_authority("of the parts") if shown is FOREIGN else shown
    (folder / "parts-ca.pem").write_text(pinned.pem)
    upstream = Upstream()
    with upstream.running(shown.sign(folder / "upstream.pem", *names, ends=ends)):
        variables = {
            "EDGE_UPSTREAM": f"https://127.0.0.1:{upstream.port}",
            "EDGE_UPSTREAM_CA_FILE": str(folder / "parts-ca.pem"),
            "EDGE_UPSTREAM_NAME": SERVICE,
        }
        with edge(folder, upstream.port, None, "", **variables) as running:
            answer = running.send(request("/v1/environments", "Authorization: Bearer cv_secret"))
    return status(answer), upstream.seen


def test_a_service_with_the_right_name_and_authority_gets_requests(tmp_path: Path) -> None:
    code, seen = ask_behind(tmp_path, make_authority("of the parts"), SERVICE)
    assert code == 200
    assert seen[0].header("Authorization") == ["Bearer cv_secret"]
    assert seen[0].header("Host") == [NAME]  # not the upstream's, which Caddy puts in its place behind TLS


@pytest.mark.parametrize("names", [("127.0.0.1", "postgres.calvinverse.internal"), ("localhost",)])
def test_another_part_that_answers_for_the_service_gets_no_request(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert ask_behind(tmp_path, make_authority("of the parts"), *names) == (502, [])


def test_who_answers_for_the_service_with_an_expired_certificate_gets_no_request(tmp_path: Path) -> None:
    ended = -timedelta(hours=1)
    assert ask_behind(tmp_path, make_authority("of the parts"), SERVICE, "127.0.0.1", ends=ended) == (502, [])


def test_who_answers_for_the_service_by_a_foreign_authority_gets_no_request(tmp_path: Path) -> None:
    assert ask_behind(tmp_path, FOREIGN, SERVICE, "127.0.0.1") == (502, [])
