"""The edge as a job of the meta environment on a real cluster, in front of a service that records what arrives."""

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from environments.domain.template import TEMPLATE_FILE, Bundle, make_bundle
from environments.providers.local_cluster.agents.site import EDGE_OWNER, VOLUME_OWNER
from environments.steps.base import Owner
from images.edge.app.configuration import CLIENT_HEADER, SECRET_HEADER
from jobs.meta_template import EDGE_JOB, meta_bundle
from tests.support import images_here
from tests.support.cluster import Cluster
from tests.support.edge_harness import NAME, Upstream, read_all, request, status
from tests.support.service_process import free_port
from tests.support.web_harness import Made, leftovers, tools, until

STEPS = ("edge-secret", "edge-certificate", "edge")


def short_lived() -> Bundle:
    """The template, with certificates for a minute: the shortest that there are."""
    files = dict(meta_bundle(edge=True).files)
    for name in (TEMPLATE_FILE, EDGE_JOB):
        assert b'"24h"' in files[name]
        files[name] = files[name].replace(b'"24h"', b'"1m"')
    return make_bundle(files)


@dataclass
class Running:
    """The edge that runs, with the service behind it."""

    cluster: Cluster
    made: Made
    service: Upstream
    port: int

    def connect(self, source: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """A connection that trusts the authority of the cluster's OpenBao, unless a `context` says whom."""
        if context is None:
            vault = self.cluster.connections.caller("vault")
            authority = vault.call("GET", "/v1/pki/issuer/default/json")["data"]["certificate"]
            context = ssl.create_default_context(cadata=authority)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=60, source_address=(source, 0))
        return context.wrap_socket(plain, server_hostname=NAME)

    def send(self, data: bytes, source: str = "127.0.0.1") -> bytes:
        """All that is answered."""
        with self.connect(source) as connection:
            connection.sendall(data)
            return read_all(connection)

    def certificate(self) -> bytes:
        """What it shows (DER), whether that has expired or not."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=60) as plain,
            context.wrap_socket(plain, server_hostname=NAME) as connection,
        ):
            return connection.getpeercert(binary_form=True) or b""

    def _allocations(self) -> list[str]:
        """Ids of those that run."""
        nomad = self.cluster.connections.caller("nomad")
        found = nomad.call("GET", "/v1/job/edge/allocations?namespace=meta")
        return [item["ID"] for item in found if item["ClientStatus"] == "running"]

    def container(self) -> dict[str, Any]:
        """What the engine knows of its container."""
        # Its service may be healthy before Nomad's servers know that it runs.
        until(lambda: len(self._allocations()) == 1, seconds=120)
        done = subprocess.run(
            ["docker", "inspect", f"edge-{self._allocations()[0]}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        found: dict[str, Any] = json.loads(done.stdout)[0]
        return found


@pytest.fixture(scope="module")
def running(cluster: Cluster) -> Iterator[Running]:
    before = leftovers(cluster.connections)
    made = Made(tools(cluster.connections), Owner("env-meta", "meta"), short_lived())
    port = free_port()
    with Upstream().running() as service:
        try:
            made.apply(
                STEPS,
                edge=True,
                edge_image=images_here.reference("edge"),
                edge_port=port,
                port=service.port,
                limit=120.0,
                checked=False,  # the check finds that a minute is short
            )
            yield Running(cluster, made, service, port)
        finally:
            # A certificate that ends just then may be neither revoked nor over yet. The engine tries again, too.
            until(lambda: gone(made), seconds=120)
    assert made.left() == []
    after = leftovers(cluster.connections)
    # Certificates that have expired meanwhile are nobody's to revoke.
    left = {kind: names - before[kind] for kind, names in after.items() if kind != "good certificates"}
    assert {kind: names for kind, names in left.items() if names} == {}


def gone(made: Made) -> bool:
    """Whether everything was taken away."""
    try:
        made.destroy()
    except AssertionError:
        return False
    return True


def test_requests_reach_the_service_with_their_client_and_the_secret_of_openbao(running: Running) -> None:
    assert status(running.send(request("/v1/one", f"{CLIENT_HEADER}: 192.0.2.1"), source="127.0.0.66")) == 200
    (seen,) = [seen for seen in running.service.seen if seen.path == "/v1/one"]
    vault = running.cluster.connections.caller("vault")
    kept = vault.call("GET", "/v1/secret/data/environments/meta/edge-secret")["data"]["data"]["secret"]
    assert seen.header(SECRET_HEADER) == [kept]
    assert seen.header(CLIENT_HEADER) == ["127.0.0.66"]


def test_it_runs_without_rights_on_a_root_that_it_can_not_change(running: Running) -> None:
    found = running.container()
    assert found["Config"]["User"] == str(EDGE_OWNER)
    # No other part has it, nor do the images of environments.
    assert EDGE_OWNER != VOLUME_OWNER
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    assert [name.lower() for name in found["HostConfig"]["CapDrop"]] == ["all"]
    assert not found["HostConfig"]["CapAdd"]
    assert "no-new-privileges" in str(found["HostConfig"]["SecurityOpt"])
    assert found["HostConfig"]["Privileged"] is False


def test_nothing_secret_is_in_what_describes_its_container(running: Running) -> None:
    vault = running.cluster.connections.caller("vault")
    kept = vault.call("GET", "/v1/secret/data/environments/meta/edge-secret")["data"]["data"]["secret"]
    text = json.dumps(running.container())
    assert kept not in text
    assert "PRIVATE KEY" not in text


def test_its_admin_socket_is_in_a_folder_of_its_own_in_memory(running: Running) -> None:
    found = running.container()
    look = "stat -c '%U %a' /secrets/edge /secrets/edge/admin.sock; stat -f -c %T /secrets"
    done = subprocess.run(
        ["docker", "exec", found["Id"], "sh", "-c", look], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split("\n")[:3] == ["edge 700", "edge 600", "tmpfs"]


def test_its_certificate_is_renewed_without_a_restart(running: Running) -> None:
    before, container = running.certificate(), running.container()["Id"]
    until(lambda: running.certificate() != before, seconds=240)
    assert running.container()["Id"] == container
    assert running.container()["RestartCount"] == 0
