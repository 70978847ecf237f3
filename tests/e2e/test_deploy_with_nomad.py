"""The page `docs/how-to/deploy-with-nomad.md`, command by command, on a secured cluster that Calvinverse did not make.

What stands then is compared with what `doit deploy` makes on the same cluster.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from environments.providers.local_cluster.trust.cluster import Trust
from images.places import CHECKOUT, state_folder
from jobs.edge import EdgeChoice
from tests.support import images_here
from tests.support.cluster_snapshot import Taker
from tests.support.deployment import Deployment, existing_parts
from tests.support.existing_cluster import ExistingCluster, existing_cluster
from tests.support.page_commands import Reader, blocks
from tests.support.service_process import free_port
from tests.support.what_stands import differences, meta, rights

PAGE = "how-to/deploy-with-nomad.md"
NAME = "calvinverse.localhost"
SECTIONS = (
    "Say where everything is",
    "Configure the agents",
    "Let jobs log in",
    "Let people sign in",
    "Make the secrets",
    "Let Consul trust the certificates of services",
    "Run the jobs",
    "Check",
    "Upgrade",
    "Remove",
)

OWN = re.compile(
    r"/Meta(/calvinverse-\w+)?: |/pki role/ou: "  # marks: to deploy the environment belongs, here to nobody
    r"|/HostNetwork: 'loopback', 'default'"
    r"|/TLSSkipVerify: False, True"  # deploy can't know what a Consul trusts that it didn't start
    r"|/Env/PARTS_CA: "  # each makes an authority
    r"|/Env/CALVINVERSE_DEPLOYER(_TOKEN)?: "
)
"""What differs between what the page makes and what deploy makes, and why."""

COMMAND = f"""#!{sys.executable}
import sys
sys.modules["jobs"] = None  # so that `doctor` looks at the service alone, as where only the wheel is installed
from environments.cli import main
main()
"""


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExistingCluster]:
    """Somebody's own cluster."""
    with existing_cluster(tmp_path_factory.mktemp("own") / "cluster") as cluster:
        yield cluster


@dataclass
class Operator:
    """Somebody who follows the page, with what is special about this cluster in place of what the page says."""

    cluster: ExistingCluster
    reader: Reader
    ports: dict[str, int]

    def follow(self, heading: str, *numbers: int) -> str:
        """Runs the blocks of a section, or some of them."""
        found = blocks(PAGE)[heading]
        return "".join(self.reader.run(self.own(found[number])) for number in numbers or range(len(found)))

    def own(self, text: str) -> str:
        """A text of the page with the values of this cluster."""
        for said, here in {
            "calvinverse.example.org": NAME,
            "apps.example.net": "apps.localhost",
            "0.0.0.0": "127.0.0.1",  # noqa: S104 - what is replaced
            "/etc/consul.d/authorities/": f"{self.cluster.authorities}/",
            "/srv/calvinverse": str(self.cluster.volumes),
            **{str(said): str(port) for said, port in self.ports.items()},
        }.items():
            text = text.replace(said, here)
        return re.sub(r"calvinverse/(\w+):qa", lambda found: images_here.reference(found[1]), text)

    def edit(self) -> None:
        """The files that the page says to edit."""
        for path in self.reader.folder.glob("*.vars.hcl"):
            path.write_text(self.own(path.read_text()))


@pytest.fixture
def operator(cluster: ExistingCluster, tmp_path: Path) -> Operator:
    """Has the vendors' programs and ours on the path, and nothing else of this machine's settings."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, path in cluster.binaries.items():
        (programs / name).symlink_to(path)
    (programs / "calvinverse").write_text(COMMAND)
    (programs / "calvinverse").chmod(0o755)
    client = tmp_path / "client"
    client.mkdir(mode=0o700)
    (client / "images").symlink_to(state_folder() / "images")
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "USER": "ada",
        "LANG": "C.UTF-8",
        "CALVINVERSE_STATE": str(client),
        "checkout": str(CHECKOUT),
        **cluster.variables(),
    }
    ports = {port: free_port() for port in ("8400", "8401", "8432", "8443")}
    return Operator(cluster, Reader(tmp_path / "work", environment), ports)


@pytest.fixture
def taker(cluster: ExistingCluster) -> Iterator[Taker]:
    """Counts what exists on the cluster."""
    taker = Taker(cluster.connections, cluster.folder)
    yield taker
    taker.close()


def test_the_page_has_these_sections() -> None:
    assert tuple(blocks(PAGE)) == SECTIONS


def test_what_the_page_makes_is_what_deploy_makes(
    cluster: ExistingCluster, operator: Operator, taker: Taker, tmp_path: Path
) -> None:
    before = taker.take()

    operator.follow("Say where everything is", 1)  # the first block has the cluster's own values
    for heading in SECTIONS[1:6]:
        operator.follow(heading)
    people = f"https://{NAME}:{operator.ports['8443']}"
    assert Trust(cluster.connections, external_address=people).verify() == []
    by_hand = rights(cluster.connections)
    operator.follow("Run the jobs", 0)
    operator.edit()
    operator.follow("Run the jobs", 1)
    operator.follow("Check", 0)
    assert "demo" in operator.follow("Check", 1)
    made = meta(cluster.connections)
    operator.follow("Upgrade")
    assert list(differences(made, meta(cluster.connections))) == []
    operator.follow("Remove")
    left = taker.left_since(before)
    found: dict[str, Any] = {"left": left} if left else {}
    for volume in cluster.volumes.iterdir():
        for path in volume.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    Trust(cluster.connections, external_address=people).apply()
    found["rights"] = list(differences(by_hand, rights(cluster.connections)))
    _trust_certificates(cluster)
    deployment = _deployment(cluster, operator, tmp_path)
    try:
        deployment.deploy("postgresql", workers=1, edge=EdgeChoice(f"127.0.0.1:{operator.ports['8443']}", NAME))
        found["meta"] = [line for line in differences(made, meta(cluster.connections)) if not OWN.search(line)]
    finally:
        deployment.remove()
    assert found == {"rights": [], "meta": []}, json.dumps(found, indent=1)


def _trust_certificates(cluster: ExistingCluster) -> None:
    """As deploy does with a Consul that it started."""
    vault = cluster.connections.caller("vault")
    for mount, name in (("pki", "calvinverse-ca.pem"), ("pki-parts", "calvinverse-parts-ca.pem")):
        authority: dict[str, Any] = vault.call("GET", f"/v1/{mount}/issuer/default/json")
        (cluster.authorities / name).write_text(authority["data"]["certificate"])
    cluster.connections.caller("consul").call("PUT", "/v1/agent/reload")


def _deployment(cluster: ExistingCluster, operator: Operator, tmp_path: Path) -> Deployment:
    return Deployment(
        tmp_path / "deployed",
        existing_parts(cluster.connections),
        ("web", "postgres", "edge"),
        port=operator.ports["8400"],
        database_port=operator.ports["8432"],
        ui_port=operator.ports["8401"],
    )
