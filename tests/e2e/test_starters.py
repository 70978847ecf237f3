"""The templates that people begin with, on the real cluster: from their creation over a stop to their end."""

import os
import shlex
import shutil
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from environments.cli.starters import STARTERS, starter_files
from environments.domain.lifecycle import ENDED_DEPLOYMENTS, DeploymentState, State
from environments.domain.template import make_bundle
from environments.wire.environments import Accepted, CreateRequest, UpdateRequest
from images.toolchain import provider_mirror, require
from tests.support import images_here
from tests.support.cluster import Cluster
from tests.support.cluster_snapshot import Taker, describe
from tests.support.edge_harness import LIMIT, SECRET, Edge, edge, handshake, read_all, request
from tests.support.page_commands import Reader, blocks
from tests.support.part_client import part_client
from tests.support.service_process import ServiceProcess, free_port

DOMAIN = "apps.localhost"
STACK_SECTIONS = (
    "Copy it",
    "Create an environment",
    "Change it",
    "Open it to people",
    "Stop it and start it",
    "Destroy it",
)
"""Of the page about the stack: a new one needs a place in the test."""


@dataclass
class Site:
    """A service with an edge before it, and the templates pushed."""

    service: ServiceProcess
    edge: Edge
    cluster: Cluster

    def do(self, name: str, accepted: Accepted, state: State) -> None:
        """Waits until a deployment has succeeded, with the environment in this state."""
        deployment = accepted.deployment_id
        assert deployment is not None
        until(lambda: self.service.client.deployment(deployment).state in ENDED_DEPLOYMENTS, f"{deployment} ends")
        assert self.service.client.deployment(deployment).state is DeploymentState.SUCCEEDED, self.service.story(name)
        assert self.service.client.environment(name).state is state

    def typing(self, home: Path) -> dict[str, str]:
        """What a shell has in which somebody types commands to this service."""
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(home),
            "USER": "ada",
            "LANG": "C.UTF-8",
            "CALVINVERSE_STATE": str(home / "client"),
            "CALVINVERSE_ADDRESS": self.service.address,
            "CALVINVERSE_TOKEN_FILE": str(self.service.token_file),
        }

    def page(self, name: str) -> str:
        """What its output `url` answers; empty if nothing does."""
        url = self.service.client.outputs(name)["url"].value
        trust = ssl.create_default_context(cadata=self.service.client.ca())
        try:
            return httpx2.get(url, verify=trust, trust_env=False, timeout=60).text
        except httpx2.TransportError:
            return ""

    def at_the_edge(self, name: str) -> str:
        """What its entry point answers; empty if there is no handshake."""
        context = ssl.create_default_context(cadata=self.service.client.ca())
        context.set_alpn_protocols(["http/1.1"])
        host = f"web--{name}.{DOMAIN}"
        try:
            with handshake(context, ("127.0.0.1", self.edge.settings.port), host) as connection:
                connection.sendall(request("/", host=host))
                return read_all(connection).decode()
        except OSError:
            return ""


def until(condition: Callable[[], object], what: str) -> None:
    """Waits for a condition on a busy machine."""
    end = time.monotonic() + 5 * LIMIT
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.2)


@pytest.fixture(scope="module")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("starters")
    port = free_port()
    (folder / "known").write_text(SECRET)
    service = ServiceProcess(
        folder / "state",
        cluster.agents.site.connections_file,
        CALVINVERSE_EDGE_SECRET=str(folder / "known"),
        CALVINVERSE_ENTRY_DOMAIN=DOMAIN,
        CALVINVERSE_ENTRY_PORT=str(port),
        CALVINVERSE_TOFU=str(require("tofu")["tofu"]),
        CALVINVERSE_PROVIDERS=str(provider_mirror()),
    )
    service.start()
    try:
        for image in ("web", "postgres"):
            images_here.publish(service.client, image)
        for starter in STARTERS:
            files = starter_files(starter, starter)
            service.client.push(make_bundle({path: text.encode() for path, text in files.items()}))
        with edge(folder, service.port, EDGE_ENTRY_DOMAIN=DOMAIN, EDGE_LISTEN=f"127.0.0.1:{port}") as proxy:
            yield Site(service, proxy, cluster)
    finally:
        service.stop()


@pytest.fixture
def taker(cluster: Cluster) -> Iterator[Taker]:
    taker = Taker(cluster.connections, cluster.state)
    yield taker
    taker.close()


def test_a_stack_keeps_its_data_over_a_stop(site: Site, taker: Taker, tmp_path: Path) -> None:
    """By the commands of the page about it, in their order."""
    client, before = site.service.client, taker.take()
    sections = blocks("how-to/stack.md")
    assert tuple(sections) == STACK_SECTIONS
    copy, create, update, entry, (night,), destroy = sections.values()
    stop, *start = night.splitlines()
    reader = Reader(tmp_path / "work", site.typing(tmp_path))
    assert "The template 'shop' is valid." in reader.run("".join(copy))

    hostile = 'It\'s \\ "one"'
    reader.run("".join(create).replace('"Hello"', shlex.quote(hostile)))
    shown = "It&#x27;s \\ &quot;one&quot; (seeded 1 times)"
    until(lambda: shown in site.page("demo"), "the greeting of the seed")

    reader.run("".join(update))
    until(lambda: "Good morning (seeded 2 times)" in site.page("demo"), "the greeting of the update")
    assert f"web--demo.{DOMAIN}" in reader.run("".join(entry))
    until(lambda: "Good morning (seeded 2 times)" in site.at_the_edge("demo"), "the same at the entry point")

    reader.run(stop)
    assert client.environment("demo").state is State.STOPPED
    assert "seeded" not in site.page("demo")
    assert "seeded" not in site.at_the_edge("demo")
    explained = reader.run("\n".join(start))
    # Migration and seed have not run again, and what they wrote is there.
    until(lambda: "Good morning (seeded 2 times)" in site.page("demo"), "the data after the night")
    until(lambda: "Good morning (seeded 2 times)" in site.at_the_edge("demo"), "the same at the entry point")
    assert "nobody works at night" in explained

    view, folder = client.environment("demo"), _builds(site.cluster) / str(client.outputs("demo")["data"].value)
    assert folder.name == f"stack-{view.id}"
    reader.run("".join(destroy))
    assert client.environment(view.id).state is State.DESTROYED
    left = taker.left_since(before)
    assert left == {}, describe(left)
    # As the page says: the files are the operator's to remove.
    assert (folder / "data").is_dir()
    shutil.rmtree(folder)


def test_outputs_of_a_module_reach_its_job(site: Site, taker: Taker) -> None:
    client, before = site.service.client, taker.take()
    _live(site, "mo", "module", lambda text: f"{text} (mo, since {client.outputs('mo')['since'].value})")
    left = taker.left_since(before)
    assert left == {}, describe(left)


def test_a_page_lives(site: Site, taker: Taker) -> None:
    before = taker.take()
    _live(site, "pa", "page", str)
    left = taker.left_since(before)
    assert left == {}, describe(left)


def _live(site: Site, name: str, template: str, shown: Callable[[str], str]) -> None:
    """Creates, updates, stops, starts and destroys one whose page shows the parameter `message` as `shown`."""
    client = site.service.client
    parameters = {"message": "one"}
    site.do(name, client.create(CreateRequest(name=name, template=template, parameters=parameters)), State.READY)
    first, second = shown("one"), shown("two")
    until(lambda: site.page(name) == first, "the page")
    site.do(name, client.update(name, UpdateRequest(parameters={"message": "two"})), State.READY)
    until(lambda: site.page(name) == second, "the page of the update")
    site.do(name, client.stop(name), State.STOPPED)
    assert site.page(name) == ""
    site.do(name, client.start(name), State.READY)
    until(lambda: site.page(name) == second, "the page after the start")
    id = client.environment(name).id
    client.destroy(name)
    site.service.wait_for(id, State.DESTROYED)


def _builds(cluster: Cluster) -> Path:
    """The folder of the host volume on the node."""
    with part_client(cluster.connections, "nomad", timeout=60) as nomad:
        (listed,) = nomad.get("/v1/nodes").json()
        return Path(nomad.get(f"/v1/node/{listed['ID']}").json()["Meta"]["calvinverse_builds"])
