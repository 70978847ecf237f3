"""Two clusters of ours, a container of somebody else's Nomad, and such a Nomad that removes what it doesn't know."""

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from environments.client import Client
from environments.domain.environment import EventType
from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.providers.backend.calls import Caller
from environments.providers.backend.connections import TokenFile
from environments.providers.local_cluster.trust.nomad import leaves_others_alone
from environments.providers.nomad.client import NomadClient
from environments.wire.environments import CreateRequest
from tests.support import images_here
from tests.support.cluster import Cluster, start_cluster
from tests.support.foreign_nomad import GRACE, LIMIT, PERIOD, Container, EngineProxy, foreign_nomad
from tests.support.service_process import ServiceProcess

LABEL = "com.hashicorp.nomad.alloc_id"

TEMPLATE = """
[template]
network = "host"
name = "pair"
version = "1"
description = "A service that lasts and a job that ends"

[lifetime]
default = "1h"
maximum = "2h"

[[steps]]
name = "lasting"
uses = "nomad.job"
with = { file = "lasting.nomad.hcl", variables = { image = "{{ images.base }}" } }

[[steps]]
name = "ending"
uses = "nomad.job"
with = { file = "ending.nomad.hcl", variables = { image = "{{ images.base }}" } }
"""

JOB = """
variable "image" { type = string }
job "%(name)s" {
  type = "%(type)s"
  group "group" {
    restart {
      attempts = 3
      interval = "1m"
      delay    = "1s"
      mode     = "fail"
    }
    task "%(name)s" {
      driver       = "docker"
      kill_timeout = "1s"
      config {
        image        = var.image
        force_pull   = false
        init         = true
        network_mode = "host"
        entrypoint   = ["/usr/bin/bash", "-c"]
        args         = ["%(command)s"]
      }
      resources {
        cpu    = 20
        memory = 32
      }
    }
  }
}
"""

FILES = {
    "template.toml": TEMPLATE,
    "lasting.nomad.hcl": JOB % {"name": "lasting", "type": "service", "command": "sleep 3600"},
    "ending.nomad.hcl": JOB % {"name": "ending", "type": "batch", "command": "echo done"},
}


@dataclass(frozen=True)
class Foreigners:
    """Nomads of somebody else: `quiet` has our configuration, `loud` removes containers that it doesn't know."""

    quiet: EngineProxy
    loud: EngineProxy


@pytest.fixture
def foreigners(cluster: Cluster, tmp_path: Path) -> Iterator[Foreigners]:
    """They start first, and are shown nothing: Nomad waits a minute before it lists containers."""
    configured = json.loads(cluster.agents.nomad.config.read_text())["plugin"]["docker"]["config"]
    often = {**configured["gc"]["dangling_containers"], "period": PERIOD, "creation_grace": GRACE}

    def plugin(**gc: Any) -> dict[str, Any]:
        return {**configured, "gc": {**configured["gc"], "dangling_containers": {**often, **gc}}}

    with (
        foreign_nomad(tmp_path / "quiet", plugin(), lambda _: False) as quiet,
        foreign_nomad(tmp_path / "loud", plugin(enabled=True), lambda _: False) as loud,
    ):
        assert [leaves_others_alone(configuration(proxy.nomad)) for proxy in (quiet, loud)] == [True, False]
        yield Foreigners(quiet, loud)


@pytest.fixture
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of ours beside that of the other tests."""
    cluster = start_cluster(tmp_path_factory.mktemp("second"))
    yield cluster
    cluster.close()


@pytest.fixture
def login(cluster: Cluster, tmp_path: Path) -> Callable[[], None]:
    """Gives the service another token for Nomad, as each start and each hour do; the one that it had is revoked."""
    nomad = cluster.connections.caller("nomad")
    known: list[str] = []

    def log_in() -> None:
        token = nomad.call("POST", "/v1/acl/token", {"Name": "service", "Type": "management"})
        (tmp_path / "token").write_text(token["SecretID"])
        for accessor in known:
            nomad.call("DELETE", f"/v1/acl/token/{accessor}")
        known[:] = [token["AccessorID"]]

    log_in()
    return log_in


@pytest.fixture
def service(cluster: Cluster, tmp_path: Path, login: Callable[[], None]) -> Iterator[ServiceProcess]:
    assert cluster.connections.nomad is not None
    endpoint = cluster.connections.nomad.model_copy(update={"authentication": TokenFile(token_file=tmp_path / "token")})
    cluster.connections.model_copy(update={"nomad": endpoint}).save(tmp_path / "connections.json")
    service = ServiceProcess(tmp_path / "service", tmp_path / "connections.json")
    service.start()
    images_here.publish(service.client, "base")
    service.client.push(make_bundle({name: text.encode() for name, text in FILES.items()}))
    yield service
    service.stop()


@pytest.fixture
def mark() -> Iterator[str]:
    """The allocation id of a container that somebody else's Nomad started, as it looks to the engine."""
    mark = secrets.token_hex(8)
    command = ["docker", "run", "--detach", "--init", "--network=none", "--label", f"{LABEL}={mark}"]
    subprocess.run(
        [*command, "--entrypoint=/usr/bin/sleep", images_here.reference("base"), "3600"],
        check=True,
        capture_output=True,
        timeout=120,
    )
    yield mark
    for container in running(f"{LABEL}={mark}", lambda item: True):
        subprocess.run(["docker", "rm", "--force", container], check=False, capture_output=True, timeout=120)


def running(label: str, ours: Callable[[list[str]], bool]) -> set[str]:
    """Ids of the running containers with that label whose mounts' sources satisfy."""
    form = "{{.ID}} {{.Mounts}}"
    command = ["docker", "ps", "--no-trunc", "--filter", f"label={label}", "--format", form]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    found = [line.partition(" ") for line in done.stdout.splitlines()]
    return {container for container, _, mounts in found if ours(mounts.split(","))}


def until(true: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.2)


def below(cluster: Cluster) -> Callable[[list[str]], bool]:
    return lambda sources: any(source.startswith(f"{cluster.state}/") for source in sources)


def in_service(client: Client, name: str, kind: EventType) -> list[str]:
    return [event.message for event in client.history(name, limit=500) if event.type is kind]


def configuration(nomad: str) -> dict[str, Any]:
    found: dict[str, Any] = Caller("nomad", nomad, None).call("GET", "/v1/agent/self")["config"]
    return found


def run_lasting(nomad: NomadClient, namespace: str) -> None:
    """The service of the template, by Nomad alone."""
    job = nomad.parse(FILES["lasting.nomad.hcl"], f'image = "{images_here.reference("base")}"')
    nomad.write_namespace(namespace, "a test", {})
    nomad.register(namespace, {**job, "Namespace": namespace}, 0)


def is_up(nomad: NomadClient, namespace: str) -> bool:
    return any(found.client == "running" for found in nomad.allocations(namespace, "lasting")[1])


def test_neighbours_on_one_engine(
    cluster: Cluster,
    foreigners: Foreigners,
    second: Cluster,
    service: ServiceProcess,
    mark: str,
    login: Callable[[], None],
) -> None:
    """Ours removes nothing of others, with the very configuration that removes everything when it is switched on."""
    nomad, client = NomadClient(lambda: second.connections), service.client
    run_lasting(nomad, "beside")
    client.create(CreateRequest(name="pair", template="pair"))
    service.wait_for("pair", State.READY, seconds=LIMIT)
    until(lambda: is_up(nomad, "beside"), "the job of the second cluster")

    def all_of_us() -> dict[str, set[str]]:
        return {
            "first": running(LABEL, below(cluster)),
            "second": running(LABEL, below(second)),
            "foreign": running(f"{LABEL}={mark}", lambda sources: True),
        }

    def ours(container: Container) -> bool:
        sources = [mount.get("Source", "") for mount in container.get("Mounts", [])]
        return container["Labels"].get(LABEL) == mark or below(cluster)(sources) or below(second)(sources)

    before = all_of_us()
    assert all(before.values())
    quiet, loud = foreigners.quiet, foreigners.loud
    quiet.shows = loud.shows = ours
    quiet.open.set()
    at_first = (quiet.listings, loud.listings)
    # The first listing comes after the grace; the agent that started later has listed several times by then.
    until(lambda: loud.listings >= at_first[1] + 3, "listings of the engine by the foreign Nomad")
    assert quiet.listings == at_first[0]
    assert quiet.removed == []
    assert all_of_us() == before

    # The control: the same agent, allowed to see them.
    loud.open.set()
    victims = set().union(*before.values())
    until(lambda: victims <= set(loud.removed), "what a Nomad does that has it on")
    loud.open.clear()
    assert quiet.removed == []

    until(lambda: all_of_us()["first"] - victims and all_of_us()["second"] - victims, "new containers")
    until(lambda: is_up(nomad, "beside"), "the job of the second cluster")
    assert all_of_us()["foreign"] == set()

    # It stayed ready, what has ended didn't run again, and people are told who may have done it.
    first = NomadClient(lambda: cluster.connections)
    until(lambda: is_up(first, "pair"), "the environment's service")
    assert client.environment("pair").state is State.READY
    (once,) = first.allocations("pair", "ending")[1]
    assert (once.client, [event.kind for event in once.tasks[0].events].count("Started")) == ("complete", 1)
    drift = client.observe("pair").drift
    assert drift is not None
    assert (drift.found, drift.troubles) == (False, {})
    assert [found.address for found in drift.incidents] == ["pair/lasting"]
    (told,) = in_service(client, "pair", EventType.ENVIRONMENT_INCIDENT)
    assert "another Nomad on the same Docker engine" in told
    assert "dangling_containers { enabled = false }" in told

    # Neither does it run again when its step does, after the service has logged in again.
    login()
    client.repair("pair")
    service.wait_for("pair", State.READY, seconds=LIMIT)
    (once,) = first.allocations("pair", "ending")[1]
    assert once.job_version == 0
    client.destroy("pair")
    service.wait_for("pair", State.DESTROYED, seconds=LIMIT)
