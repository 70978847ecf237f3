"""Certificates of agents are renewed while the agents run: none is started again, and no request is lost."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from cryptography import x509

from environments.domain.errors import CalvinverseError
from environments.providers.backend.calls import Part
from environments.providers.backend.connections import Connections
from environments.providers.consul.client import ConsulClient
from environments.providers.local_cluster.agents.certificates import served_certificate
from environments.providers.nomad.client import NomadClient
from environments.providers.nomad.feed import NomadFeed
from environments.providers.vault.client import VaultClient
from tests.support.cluster import Cluster, start_cluster
from tests.support.workloads import Backends, environment, run_job

LIFE = timedelta(minutes=2)
LIMIT = 600.0
"""Seconds within which every certificate is renewed, also on a busy machine; two thirds of the life are 80."""

PATHS: dict[Part, str] = {
    "consul": "/v1/kv/environments/lasting/message",
    "vault": "/v1/secret/data/environments/lasting/app",
    "nomad": "/v1/jobs",
}


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose certificates live for two minutes."""
    cluster = start_cluster(tmp_path_factory.mktemp("short"), certificate_life=LIFE)
    yield cluster
    cluster.close()


def shown(cluster: Cluster) -> dict[str, x509.Certificate | None]:
    """The certificate that each agent serves."""
    return {agent.name: served_certificate("127.0.0.1", agent.port) for agent in cluster.agents.all()}


def callers(connections: Connections) -> list[Callable[[], object]]:
    """Calls of each part over connections that are kept, and over new ones."""
    consul, nomad = ConsulClient(lambda: connections), NomadClient(lambda: connections)
    vault = VaultClient(lambda: connections)
    new = [lambda part=part, path=path: connections.caller(part).call("GET", path) for part, path in PATHS.items()]
    kept = [
        lambda: consul.tree("environments/lasting/"),
        lambda: nomad.jobs("lasting"),
        lambda: vault.secrets.head("environments/lasting/app"),
    ]
    return [*new, *kept]


def test_no_request_is_lost_while_certificates_are_renewed(short: Cluster) -> None:
    connections, ended = short.connections, threading.Event()
    failures: list[str] = []

    def go_on(call: Callable[[], object]) -> int:
        count = 0
        while not ended.is_set():
            try:
                call()
            except CalvinverseError as error:
                failures.append(error.message)
            count += 1
            ended.wait(0.01)
        return count

    backends = Backends(connections)
    with environment(backends, "lasting"), ThreadPoolExecutor(16) as pool:
        workload = run_job(backends, "lasting")
        before, pids = shown(short), [status.pid for status in short.agents.observe()]
        assert None not in before.values()
        stream = NomadFeed(lambda: connections).open()
        followed = pool.submit(lambda: sum(1 for _ in stream.batches()))  # fails if it is cut
        try:
            working = [pool.submit(go_on, call) for call in callers(connections)]
            end = time.monotonic() + LIMIT
            while any(now in (None, before[name]) for name, now in shown(short).items()):
                assert time.monotonic() < end, "not every certificate is renewed"
                time.sleep(0.2)
            again = run_job(backends, "lasting", "later")  # Nomad logs in, renders and registers with all three
        finally:
            ended.set()
            counts = [each.result() for each in working]
            stream.close()
        assert failures == []
        assert followed.result() > 0
        assert min(counts) > 20
        assert again.rendered == workload.rendered
        assert [status.pid for status in short.agents.observe()] == pids
        assert all(status.healthy for status in short.agents.observe())


def test_no_agent_speaks_plainly_or_with_strangers(short: Cluster) -> None:
    ports = short.agents.site.ports
    for port in (ports.consul_http, ports.openbao_http, ports.nomad_http):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
            plain.sendall(b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b"200 OK" not in plain.recv(4096)
    stranger = ssl.create_default_context(cafile=short.agents.site.authority_file)
    for port, name in ((ports.consul_server, "server.dc1.consul"), (ports.nomad_rpc, "server.global.nomad")):
        assert _ends(port, _RPC[port == ports.consul_server], stranger, name)


_RPC = {True: b"\x03", False: b"\x04"}
"""The first byte of a connection that goes on with TLS: to Consul's server, to Nomad's."""


def _ends(port: int, first: bytes, context: ssl.SSLContext, name: str) -> bool:
    """Whether the RPC ends a connection without a certificate of the authority, after it has shown its own one."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        plain.sendall(first)
        try:
            with context.wrap_socket(plain, server_hostname=name) as secured:
                secured.sendall(b"\x00")
                return secured.recv(1) == b""
        except ssl.SSLCertVerificationError:
            raise
        except OSError:
            return True
