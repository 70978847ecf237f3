"""Consul and Nomad limit connections by the client's address; a job that holds all of them doesn't stop the service."""

import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from environments.providers.backend.calls import Part
from environments.providers.backend.connections import Endpoint
from environments.providers.backend.health import BackendHealth
from environments.providers.consul.client import ConsulClient
from environments.providers.nomad.client import NomadClient
from environments.providers.vault.client import VaultClient
from tests.support.cluster import Cluster
from tests.support.part_client import trusting_part

LIMITS: dict[Part, int] = {"consul": 2000, "nomad": 1000}
"""`http_max_conns_per_client` in the configurations that `environments.providers.local_cluster.agents` writes."""


@contextlib.contextmanager
def flood(address: str, count: int) -> Iterator[None]:
    """So many connections from 127.0.0.1, as a job of the machine makes them."""
    place = urlsplit(address)
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            held = stack.enter_context(socket.socket())
            held.settimeout(5)
            with contextlib.suppress(OSError):
                held.connect((str(place.hostname), place.port or 80))
        yield


def answers(endpoint: Endpoint) -> bool:
    """Whether a neighbour of the flood is answered."""
    place, context = urlsplit(endpoint.address), trusting_part(endpoint)
    try:
        with (
            socket.create_connection((str(place.hostname), place.port or 443), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=endpoint.server_name) as asking,
        ):
            asking.sendall(b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return asking.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip("this machine allows a process too few files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("part", LIMITS)
@pytest.mark.usefixtures("many_files")
def test_a_flood_of_connections_keeps_the_service_working(cluster: Cluster, part: Part) -> None:
    connections = cluster.connections
    endpoint = connections.endpoint(part)

    def service() -> None:
        """New connections to all parts, as a service that has just started makes them."""
        assert BackendHealth(lambda: connections, "").troubles() == {}
        ConsulClient(lambda: connections).tree("environments/nobody/")
        NomadClient(lambda: connections).jobs("default")
        VaultClient(lambda: connections).secrets.head("environments/nobody/secret")

    service()
    with flood(endpoint.address, LIMITS[part] + 20):
        assert not answers(endpoint)  # the flood does what it is for
        for _ in range(5):
            service()
    end = time.monotonic() + 120
    while not answers(endpoint):
        assert time.monotonic() < end
        time.sleep(0.1)
