"""A hostile job scans everything around it, from its own network: nothing is reached.

What it tries is `everything` below. Each thing that listens is reached from the node, so its silence says something.
"""

import json
import secrets
import socket
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from tests.support import images_here
from tests.support.cluster import Cluster
from tests.support.probing_jobs import PORT, PROBE, address, made, seen
from tests.support.web_harness import Made, until

METADATA = (
    "169.254.169.254",  # most clouds
    "169.254.170.2",  # tasks of containers
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
)
"""Where clouds tell a machine its secrets."""

SOCKETS = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/var/run/crio/crio.sock",
)
"""Where engines of containers listen."""

WELL_KNOWN = (22, 53, 80, 111, 443, 2375, 2376, 3306, 5432, 6379, 8080, 8400, 8443, 8500, 8200, 8300, 8301, 4646, 4647)
"""Ports of programs that machines have, and the makers' own of the parts."""


@pytest.fixture
def listener() -> Iterator[int]:
    """A program of the node that listens on all of its addresses, for both families."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        yield server.getsockname()[1]


@pytest.fixture
def container() -> Iterator[str]:
    """A container of somebody else in Docker's default network, which listens at 8000; its address."""
    name = f"calvinverse-test-neighbour-{secrets.token_hex(4)}"
    command = ["docker", "run", "-d", "--rm", "--name", name, "-e", "PLACES=[]", "--entrypoint", "python3"]
    _run(*command, images_here.reference("base"), "-c", PROBE)
    try:
        found = json.loads(_run("docker", "inspect", name))[0]["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        until(lambda: _open(found, PORT), 60)
        yield found
    finally:
        _run("docker", "rm", "-f", name)


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def _open(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=20).close()
    except OSError:
        return False
    return True


def _node_addresses() -> list[str]:
    """All addresses of the node that aren't on loopback, those of bridges too."""
    found = json.loads(_run("ip", "-j", "address"))
    return [
        entry["local"] + (f"%{link['ifname']}" if entry["scope"] == "link" else "")
        for link in found
        for entry in link["addr_info"]
        if entry["scope"] != "host"
    ]


def _subnet(cluster: Cluster) -> IPv4Network:
    client: dict[str, Any] = json.loads(cluster.agents.nomad.config.read_text())["client"]
    return IPv4Network(client["bridge_network_subnet"])


def everything(cluster: Cluster, victim: str, published: int, listener: int, container: str) -> list[str]:
    """What the hostile job tries."""
    ports = cluster.agents.site.ports
    gateway = str(next(_subnet(cluster).hosts()))
    block = range(ports.consul_http, ports.last_dynamic + 1)  # all that the cluster uses, jobs' published ports too
    of_node = sorted({*WELL_KNOWN, *block, listener, published} - {53})
    others = [own for own in _node_addresses() if own != gateway]
    parts = (ports.consul_http, ports.consul_dns, ports.openbao_http, ports.nomad_http, ports.nomad_rpc)
    addresses = ["127.0.0.1", "::1", gateway, *others]
    few = (*parts, ports.consul_server, ports.openbao_cluster, listener, published, 22, 2375)
    return [
        *(f"tcp:{gateway}:{port}" for port in of_node),
        *(f"tcp:{own}:{port}" for own in addresses if own != gateway for port in few),
        *(f"udp:{own}:{port}" for own in addresses for port in (ports.consul_dns, ports.consul_serf, ports.nomad_serf)),
        f"tcp:{victim}",
        f"tcp:{ports.dns_address}:53",
        *(f"tcp:{place}:{port}" for place in METADATA for port in (80, 443)),
        f"tcp:{container}:{PORT}",
        "tcp:172.17.0.1:2375",
        f"tcp:{_subnet(cluster).broadcast_address}:{PORT}",
        *(f"unix:{path}" for path in SOCKETS),
    ]


def test_a_hostile_job_that_scans_everything_reaches_nothing(cluster: Cluster, listener: int, container: str) -> None:
    assert cluster.agents.nomad.isolation.lacking == ""
    ports = cluster.agents.site.ports
    victim = made(cluster)
    hostile: Made | None = None
    try:
        victim.apply()
        inside = address(victim.owner, cluster, "inside")
        published = int(address(victim.owner, cluster).rpartition(":")[2])
        tried = everything(cluster, inside, published, listener, container)
        # The victim as a neighbour has it: open for the node, as everything else that listens.
        host, _, port = inside.rpartition(":")
        answering = [(host, int(port)), ("127.0.0.1", published), ("127.0.0.1", listener), ("::1", listener)]
        answering += [("127.0.0.1", port) for port in (ports.consul_http, ports.openbao_http, ports.nomad_http)]
        answering += [(container, PORT), *((own, listener) for own in _node_addresses() if "%" not in own)]
        assert [place for place in answering if not _open(*place)] == []
        assert Path("/var/run/docker.sock").exists()

        hostile = made(cluster, tried)
        hostile.apply()
        own = address(hostile.owner, cluster, "inside")
        # Its probe works: it reaches itself, and the one port of the node that jobs have, the DNS server's.
        assert seen(hostile.owner, cluster, f"look/tcp:{own}") == "open"
        assert seen(hostile.owner, cluster, f"look/udp:{next(_subnet(cluster).hosts())}:53") == "open"
        found = seen(hostile.owner, cluster)
        assert [place for place, state in found.items() if state == "open"] == []
        assert len(found) == len(set(tried)) > 150
    finally:
        victim.destroy()
        if hostile is not None:
            hostile.destroy()
