"""A deployed Calvinverse with three people, once for all attacks.

CALVINVERSE_ATTACKED=process attacks a service that runs from this checkout, beside a test cluster, instead: that needs
no image of it, and proves less.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from environments.providers.backend.calls import TITLES
from environments.providers.backend.connections import Connections
from tests.support import images_here
from tests.support.attack_harness import CASES, Person, Target
from tests.support.cluster import start_cluster
from tests.support.deployment import Deployment, containers
from tests.support.part_client import part_client
from tests.support.service_process import ServiceProcess

IMAGES = ("web", "base")
"""What environments may be made of."""


def _parts(connections: Connections) -> dict[str, httpx2.Client]:
    return {part: part_client(connections, part) for part in TITLES}


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """What is attacked."""
    folder = tmp_path_factory.mktemp("attacked")
    if os.environ.get("CALVINVERSE_ATTACKED") == "process":
        yield from _beside(folder)
    else:
        yield from _deployed(folder)


def _deployed(folder: Path) -> Iterator[Target]:
    deployment = Deployment(folder / "state", images=IMAGES)

    def process() -> int:
        (pid,) = [
            int(item["State"]["Pid"])
            for name, item in containers(deployment.where.state).items()
            if name.startswith("provisioning-") and item["State"]["Running"]
        ]
        return pid

    try:
        deployment.deploy()
        token = deployment.where.token.read_text().strip()
        admin = Person("admin", deployment.context.address, token, deployment.context.ca_file)
        yield from _opened(admin, deployment.connections, deployment.where.state, process)
    finally:
        deployment.remove()


def _beside(folder: Path) -> Iterator[Target]:
    cluster = start_cluster(folder)
    service = ServiceProcess(folder / "service", cluster.agents.site.connections_file)
    try:
        service.start()
        images_here.publish(service.client, *IMAGES)
        token = (service.state / "service" / "token").read_text().strip()
        admin = Person("admin", service.address, token)
        yield from _opened(admin, cluster.connections, service.state, lambda: service.pid)
    finally:
        service.stop()
        cluster.close()


def _opened(admin: Person, connections: Connections, folder: Path, process: object) -> Iterator[Target]:
    people = {
        name: Person(name, admin.address, admin.post("/v1/tokens", {"owner": name})["secret"], admin.ca_file)
        for name in ("alice", "mallory")
    }
    target = Target(
        address=admin.address,
        admin=admin,
        nobody=Person("nobody", admin.address, "", admin.ca_file),
        parts=_parts(connections),
        folder=folder,
        connections=connections,
        process=process,  # type: ignore[arg-type]  # a function without arguments that gives a number
        **people,
    )
    try:
        for template in sorted(CASES.iterdir()):
            admin.push(template)
        yield target
    finally:
        for person in (admin, target.nobody, *people.values()):
            person.http.close()
        for client in target.parts.values():
            client.close()


@pytest.fixture
def admin(target: Target) -> Person:
    """May do everything."""
    return target.admin


@pytest.fixture
def alice(target: Target) -> Person:
    """A user with something to lose."""
    return target.alice


@pytest.fixture
def mallory(target: Target) -> Person:
    """A user who wants it."""
    return target.mallory


@pytest.fixture
def nobody(target: Target) -> Person:
    """Somebody without a token."""
    return target.nobody
