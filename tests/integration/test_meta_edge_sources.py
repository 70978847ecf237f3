"""The edge as a job of the meta environment with a certificate of the user's own, on a real cluster."""

import json
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from environments.steps.base import Owner
from jobs.edge import CertificateFiles, EdgeChoice, Source, edge_parameters
from jobs.meta_template import meta_bundle
from tests.integration.test_meta_edge import Running
from tests.support import images_here
from tests.support.authorities import make_authority
from tests.support.cluster import Cluster
from tests.support.edge_harness import NAME, Upstream, request, status
from tests.support.service_process import free_port
from tests.support.web_harness import Made, leftovers, tools, until

NOW = datetime.now(UTC)
STEPS = ("edge-secret", "edge-certificate", "edge")
AUTHORITY = make_authority("of the user")
RENDERED = 480.0
"""Seconds within which Nomad reads a secret again for sure: it does so every 5 minutes at most."""


def own(folder: Path) -> CertificateFiles:
    """A new certificate of the user for the edge, in files."""
    (folder / "ca.pem").write_text(AUTHORITY.pem)
    AUTHORITY.sign(folder / "own.pem", NAME)
    return CertificateFiles(folder / "own.pem", folder / "own.pem", folder / "ca.pem")


@pytest.fixture(scope="module")
def running(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    before = leftovers(cluster.connections)
    port = free_port()
    made = Made(tools(cluster.connections), Owner("env-meta", "meta"), meta_bundle(edge=True, source=Source.FILES))
    with Upstream().running() as service:
        found = Running(cluster, made, service, port)
        try:
            give(found, tmp_path_factory.mktemp("own"))
            yield found
        finally:
            made.destroy()
    assert made.left() == []
    assert leftovers(cluster.connections) == before


def give(running: Running, folder: Path) -> str:
    """Applies the steps with a new certificate, as deploy does; its key."""
    reference = images_here.reference("edge")
    choice = EdgeChoice(f"127.0.0.1:{running.port}", NAME, own(folder))
    parameters = edge_parameters(choice, reference, None, NOW)
    running.made.secrets = {name: parameters.pop(name) for name in ("edge_certificate", "edge_key")}
    running.made.apply(STEPS, **parameters, port=running.service.port, limit=120.0)
    return str(running.made.secrets["edge_key"])


def shown(running: Running) -> bytes:
    """The certificate (DER) of the edge, which has to be good for a client that knows the user's authority."""
    context = ssl.create_default_context(cadata=AUTHORITY.pem)
    with running.connect(context=context) as connection:
        return connection.getpeercert(binary_form=True) or b""


def test_a_certificate_of_ones_own_is_shown_and_its_key_is_nowhere_else(running: Running) -> None:
    assert shown(running)
    container = running.container()
    with running.connect(context=ssl.create_default_context(cadata=AUTHORITY.pem)) as connection:
        connection.sendall(request("/v1/one"))
        assert status(connection.recv(65536)) == 200
    nomad = running.cluster.connections.caller("nomad")
    key = str(running.made.secrets["edge_key"]).splitlines()[1]
    for known in (container, nomad.call("GET", "/v1/job/edge?namespace=meta"), running.made.log, running.made.outputs):
        assert key not in json.dumps(known, default=str)
    # In the memory of the allocation, and nowhere in the container's file system.
    look = f"grep -rlF -D skip --exclude-dir=proc --exclude-dir=sys -- {key} / 2>/dev/null; stat -f -c %T /secrets"
    done = subprocess.run(
        ["docker", "exec", container["Id"], "sh", "-c", look], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.split() == ["/secrets/edge.pem", "tmpfs"]


def test_a_certificate_of_ones_own_is_renewed_without_a_restart(running: Running, tmp_path: Path) -> None:
    first, container = shown(running), running.container()
    # As deploy renews it: the secret changes, and the job doesn't.
    give(running, tmp_path)
    until(lambda: shown(running) != first, seconds=RENDERED)
    assert running.container()["Id"] == container["Id"]
    assert running.container()["RestartCount"] == 0
