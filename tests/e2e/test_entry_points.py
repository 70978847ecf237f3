"""Entry points on the real cluster: a real edge before a real service, and environments that come, change and go."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from environments.client.bundles import read_bundle
from environments.domain.lifecycle import ENDED_DEPLOYMENTS, State
from environments.wire.environments import CreateRequest, EnvironmentView, UpdateRequest
from tests.support import http2_frames as h2
from tests.support import images_here
from tests.support.cluster import Cluster
from tests.support.edge_harness import LIMIT, SECRET, Edge, edge, handshake, read_all, receive, request, status
from tests.support.service_process import ServiceProcess, free_port

TEMPLATE = Path(__file__).parent / "entry_points"
DOMAIN = "apps.localhost"


def until(condition: Callable[[], object], what: str) -> None:
    """Waits for a condition on a busy machine."""
    end = time.monotonic() + 3 * LIMIT
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


@dataclass
class Running:
    """A service on the cluster, and an edge before it."""

    service: ServiceProcess
    edge: Edge
    cluster: Cluster
    ca: str

    def create(self, name: str, **parameters: Any) -> EnvironmentView:
        """An environment once it is ready."""
        self.service.client.create(CreateRequest(name=name, template="entry-points", parameters=parameters))
        view = self.service.wait_for(name, State.READY, State.FAILED)
        assert view.state is State.READY, self.service.story(name)
        return view

    def update(self, name: str, **parameters: Any) -> None:
        """Until the update has ended well."""
        accepted = self.service.client.update(name, UpdateRequest(parameters=parameters))
        assert accepted.deployment_id is not None
        deployment = accepted.deployment_id
        until(lambda: self.service.client.deployment(deployment).state in ENDED_DEPLOYMENTS, "the update ends")
        assert self.service.client.environment(name).failure is None, self.service.story(name)

    def destroy(self, name: str) -> None:
        """Until nothing is left of it."""
        id = self.service.client.environment(name).id
        self.service.client.destroy(name)
        self.service.wait_for(id, State.DESTROYED)

    def connect(self, host: str, *, alpn: str = "http/1.1") -> ssl.SSLSocket:
        """A connection to an entry point, verified by the cluster's authority."""
        context = ssl.create_default_context(cadata=self.ca)
        context.set_alpn_protocols([alpn])
        return handshake(context, ("127.0.0.1", self.edge.settings.port), host)

    def get(self, host: str, path: str = "/") -> tuple[int, bytes]:
        """Status and body; 0 if there is no handshake, or no answer."""
        try:
            with self.connect(host) as connection:
                connection.sendall(request(path, host=host))
                answer = read_all(connection)
        except OSError:
            return 0, b""
        return status(answer), answer.partition(b"\r\n\r\n")[2]

    def allocations(self, name: str) -> set[str]:
        """Those that answer at the entry point."""
        return {body.decode().partition(" ")[2] for code, body in (self.get(f"web.{name}.{DOMAIN}") for _ in range(12))}


@pytest.fixture(scope="module")
def running(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("entry-points")
    port = free_port()
    (folder / "known").write_text(SECRET)
    service = ServiceProcess(
        folder / "state",
        cluster.agents.site.connections_file,
        CALVINVERSE_EDGE_SECRET=str(folder / "known"),
        CALVINVERSE_ENTRY_DOMAIN=DOMAIN,
        CALVINVERSE_ENTRY_PORT=str(port),
    )
    service.start()
    try:
        images_here.publish(service.client, "base")
        service.client.push(read_bundle(TEMPLATE))
        listen = f"127.0.0.1:{port}"
        with edge(folder, service.port, EDGE_ENTRY_DOMAIN=DOMAIN, EDGE_LISTEN=listen) as proxy:
            yield Running(service, proxy, cluster, service.client.ca())
    finally:
        service.stop()


def test_two_environments_answer_at_both_of_their_names_by_http2(running: Running) -> None:
    for name in ("one", "two"):
        view = running.create(name)
        (entry,) = view.entry_points
        assert entry.url == f"https://web--{name}.{DOMAIN}:{running.edge.settings.port}"
        assert view.outputs["url"].value == entry.url
    for name in ("one", "two"):
        for host in (f"web--{name}.{DOMAIN}", f"web.{name}.{DOMAIN}"):
            until(partial(answers, running, host), f"{host} answers")
            code, body = running.get(host)
            assert (code, body.split()[0].decode()) == (200, name)
            with running.connect(host, alpn="h2") as connection:
                assert connection.selected_alpn_protocol() == "h2"
                asked = {":method": "GET", ":scheme": "https", ":authority": host, ":path": "/"}
                connection.sendall(h2.preface() + h2.headers(1, asked))
                assert f"{name} ".encode() in receive(connection, f"{name} ".encode())
                connection.sendall(h2.goaway())


def answers(running: Running, host: str) -> bool:
    """Whether an instance answers for a host."""
    return running.get(host)[0] == 200


def test_a_socket_and_a_stream_pass(running: Running) -> None:
    host = f"web--one.{DOMAIN}"
    with running.connect(host) as connection:
        lines = ["GET /socket HTTP/1.1", f"Host: {host}", "Connection: Upgrade", "Upgrade: websocket", "", ""]
        connection.sendall("\r\n".join(lines).encode())
        assert b" 101 " in receive(connection, b"\r\n\r\n")
        connection.sendall(b"there and back")
        receive(connection, b"there and back")
    with running.connect(host) as connection:
        connection.sendall(request("/events", host=host))
        receive(connection, b"data: 3\n\n")


def test_an_instance_that_becomes_unhealthy_gets_no_requests(running: Running) -> None:
    running.update("two", replicas=2)
    until(lambda: len(running.allocations("two")) == 2, "both instances answer")
    code, body = running.get(f"web.two.{DOMAIN}", "/sick")
    assert code == 200
    sick = body.decode().partition(" ")[2]
    until(lambda: sick not in running.allocations("two"), "the sick instance is left out")
    assert {running.get(f"web.two.{DOMAIN}")[0] for _ in range(10)} == {200}


def test_what_a_hostile_job_registers_leads_nowhere(running: Running) -> None:
    """Each address passes its checks in Consul, under the name of the environment's service."""
    consul, nomad = running.cluster.connections.caller("consul"), running.cluster.connections.endpoint("nomad").address
    other = next(
        (found["Service"]["Address"], found["Service"]["Port"])
        for found in consul.call("GET", "/v1/health/service/one--web")
    )
    parts = [running.cluster.connections.endpoint(part).address for part in ("consul", "nomad", "vault")]
    aims = [("127.0.0.1", int(address.rpartition(":")[2])) for address in parts]
    aims += [("127.0.0.1", running.service.port), ("169.254.169.254", 80), ("127.0.0.1", 22), other]
    before = running.allocations("two")
    for number, (address, port) in enumerate(aims):
        body = {"ID": f"evil-{number}", "Name": "two--web", "Address": address, "Port": port, "Tags": ["http"]}
        consul.call("PUT", "/v1/agent/service/register", body)
    try:
        # Longer than it takes to hear of them.
        end = time.monotonic() + 15
        while time.monotonic() < end:
            code, body_seen = running.get(f"web--two.{DOMAIN}", "/v1/agent/self")
            assert code == 200
            assert body_seen.split()[0] == b"two", (nomad, body_seen)
        assert running.allocations("two") <= before
    finally:
        for number in range(len(aims)):
            consul.call("PUT", f"/v1/agent/service/deregister/evil-{number}")


def test_nobody_reaches_a_service_whose_template_says_so(running: Running) -> None:
    view = running.create("closed", access="nobody")
    assert view.entry_points == ()
    assert running.get(f"web--closed.{DOMAIN}") == (0, b"")
    # And then everybody, and nobody again: an update publishes and withdraws.
    running.update("closed", access="everybody")
    until(partial(answers, running, f"web--closed.{DOMAIN}"), "it answers")
    running.update("closed", access="nobody")
    assert running.get(f"web--closed.{DOMAIN}") == (0, b"")
    running.destroy("closed")


def test_a_destroy_removes_the_route_while_requests_run(running: Running) -> None:
    over = threading.Event()
    answers: list[int] = []

    def ask() -> None:
        while not over.is_set():
            answers.append(running.get(f"web--one.{DOMAIN}")[0])

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        until(lambda: 200 in answers, "requests are answered")
        running.destroy("one")
    finally:
        over.set()
        thread.join(LIMIT)
    # The route went before the instance: nobody saw an instance that is gone. Without a route there is no handshake.
    assert set(answers) <= {200, 0}
    assert answers.index(0) > 0
    assert 200 not in answers[answers.index(0) :]
    assert {running.get(f"web.two.{DOMAIN}")[0] for _ in range(5)} == {200}


def test_nothing_of_a_destroyed_environment_is_left(running: Running) -> None:
    running.destroy("two")
    assert running.get(f"web--two.{DOMAIN}") == (0, b"")
    roles = running.cluster.connections.caller("vault").get("/v1/pki/roles?list=true") or {"data": {"keys": []}}
    assert not [role for role in roles["data"]["keys"] if role.endswith("--edge")]
    assert "PRIVATE KEY" not in json.dumps(running.edge.log)
