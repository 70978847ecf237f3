"""The meta environment on PostgreSQL with several workers: made from nothing, killed in parts, changed, removed."""

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from environments.client import Client
from environments.domain.errors import CalvinverseError, NotAllowedNow
from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.wire.environments import CreateRequest
from images.machine import ports
from jobs.status import listeners, status_lines
from jobs.undeploy import undeploy
from tests.support.cluster import Cluster
from tests.support.cluster_snapshot import Taker, describe
from tests.support.deployment import Deployment, containers, docker, existing_parts, until

TAKE_OVER = 30.0
"""Seconds within which another worker goes on (design.md)."""

WORKING = 12
"""Seconds that the step of `slow` takes."""

SLOW = """
[template]
network = "host"
name = "slow"
[[steps]]
name = "work"
uses = "nomad.job"
with = { file = "work.nomad.hcl", variables = { image = "{{ images.web }}" } }
"""
WORK = f"""
variable "image" {{}}
job "work" {{
  type = "batch"
  group "work" {{
    task "work" {{
      driver = "docker"
      config {{
        image        = var.image
        force_pull   = false
        network_mode = "host"
        entrypoint   = ["python3", "-c", "import time; time.sleep({WORKING})"]
      }}
      resources {{
        cpu    = 20
        memory = 32
      }}
    }}
  }}
}}
"""


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path / "state")
    yield deployment
    deployment.remove()


def ready(client: Client, *names: str) -> None:
    """Waits until these environments are ready."""

    def all_ready() -> bool:
        found = [client.environment(name) for name in names]
        assert [view.failure for view in found if view.state is State.FAILED] == []
        return all(view.state is State.READY for view in found)

    until(all_ready)


def mid_work(client: Client, workers: Sequence[str]) -> tuple[str, str]:
    """A worker of these allocations that holds a deployment now, by its allocation, and the deployment."""
    for worker in client.workers():
        allocation = worker.host.rpartition("/")[2]
        if worker.alive and worker.running and allocation in workers:
            return allocation, worker.running[0]
    return "", ""


def test_workers_and_database_may_die_and_undeploy_leaves_nothing(deployment: Deployment) -> None:
    deployment.deploy("postgresql", workers=2)
    assert [line.health[0] for line in status_lines(deployment.where)] == ["✓"] * 7
    assert {check.verdict for check in ports(deployed=listeners(deployment.where))} == {"ok"}, "doctor knows its own"
    assert deployment.line("workers").health == "✓ 3 of 3 alive"
    assert deployment.line("database").address.startswith("postgresql://")
    assert not list((deployment.where.state / "volumes" / "calvinverse-data").rglob("*.sqlite"))
    _no_password_is_to_be_seen(deployment)
    with deployment.client() as client:
        client.create(CreateRequest(name="demo", template="web"))
        ready(client, "demo")
        _a_worker_dies(deployment, client)
        _the_database_dies(deployment, client)

    deployment.deploy()  # without a word of the database
    assert deployment.line("database").address.startswith("postgresql://")
    with pytest.raises(NotAllowedNow, match="PostgreSQL"):
        deployment.deploy("sqlite")
    deployment.deploy(workers=1)
    until(lambda: deployment.line("workers").health == "✓ 2 of 2 alive")
    # A worker says that it leaves before its allocation has ended.
    until(lambda: len(deployment.allocations("workers")) == 1)
    with deployment.client() as client:
        ready(client, "demo")

    assert undeploy(deployment.where, deployment.said.append, destroy_environments=True)
    state = deployment.where.state
    assert containers(state) == {}
    assert not [line for line in Path("/proc/mounts").read_text().splitlines() if str(state) in line]
    assert _processes(state) == []
    assert [path.name for path in state.iterdir() if path.name != "deploy.lock"] == []


def _no_password_is_to_be_seen(deployment: Deployment) -> None:
    """In no variable, no command line and no log of a container, nor in what the service says of its environment."""
    vault = deployment.connections.caller("vault")
    kept = [
        vault.call("GET", f"/v1/secret/data/environments/meta/{name}")["data"]["data"]
        for name in ("database-password", "sealing-key")
    ]
    secrets = [value for data in kept for value in data.values()]
    assert [len(value) for value in secrets] == [48, 43]
    found = containers(deployment.where.state)
    assert len(found) == 4
    for name, container in found.items():
        logs = subprocess.run(["docker", "logs", name], capture_output=True, text=True, timeout=120, check=True)
        told = json.dumps([container["Config"], container["Args"]]) + logs.stdout + logs.stderr
        assert [secret for secret in secrets if secret in told] == [], name
        # Shared memory goes with a container only if it is the container's own.
        assert container["HostConfig"]["IpcMode"] != "host"
    with deployment.client() as client:
        shown = client.environment("meta").model_dump_json()
    assert [secret for secret in secrets if secret in shown] == []


def _a_worker_dies(deployment: Deployment, client: Client) -> None:
    """SIGKILL to a worker in the middle of a step: another one goes on, and nothing is made twice."""
    client.push(make_bundle({"template.toml": SLOW.encode(), "work.nomad.hcl": WORK.encode()}))
    workers = [allocation[:8] for allocation in deployment.allocations("workers")]
    names: list[str] = []

    def held_by_a_worker() -> tuple[str, str] | None:
        """The service is a worker, too: it may be quicker than the others, so there is always one more to take."""
        name = f"slow-{len(names)}"
        client.create(CreateRequest(name=name, template="slow"))
        names.append(name)
        found = mid_work(client, workers)
        return found if found[1] else None

    victim, held = until(held_by_a_worker)
    before = {worker.name for worker in client.workers() if worker.alive}
    (container,) = [name for name in containers(deployment.where.state) if victim in name]
    docker("kill", "--signal=KILL", container)
    began = time.monotonic()

    def taken_over() -> bool:
        holders = [w for w in client.workers() if w.alive and held in w.running and not w.host.endswith(victim)]
        return bool(holders) or client.deployment(held).state.value == "succeeded"

    until(taken_over, limit=TAKE_OVER)
    print(f"taken over after {time.monotonic() - began:.1f} s")
    ready(client, *names)
    jobs = deployment.connections.caller("nomad")
    for name in names:
        (run,) = jobs.call("GET", f"/v1/job/work/allocations?namespace={name}")
        assert run["ClientStatus"] == "complete", name
    # Nomad starts it again, and that is another worker.
    until(lambda: deployment.line("workers").health == "✓ 3 of 3 alive")
    assert {worker.name for worker in client.workers() if worker.alive} - before


def _the_database_dies(deployment: Deployment, client: Client) -> None:
    """SIGKILL to PostgreSQL: it comes back with everything, and the service finds it again."""
    (container,) = [name for name in containers(deployment.where.state) if name.startswith("postgres-")]
    docker("kill", "--signal=KILL", container)

    def works() -> bool:
        try:
            client.create(CreateRequest(name="after", template="web"))
        except CalvinverseError as error:
            if error.code in ("service_unavailable", "database_unavailable", "storage_failed"):
                return False
            raise
        return True

    until(works)
    ready(client, "demo", "after")


def _processes(state: Path) -> list[str]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(state) in command:
                found.append(f"{folder.name} {command}")
    return found


def test_on_an_existing_cluster_a_census_finds_nothing_left(cluster: Cluster, taker: Taker, tmp_path: Path) -> None:
    before = taker.take()
    deployment = Deployment(tmp_path / "state", existing_parts(cluster.connections))
    try:
        deployment.deploy("postgresql", workers=1)
        assert deployment.line("workers").health == "✓ 2 of 2 alive"
    finally:
        deployment.remove()
    left = taker.left_since(before)
    left.pop("consul tokens", None)  # the manager's own logins end with their hour
    left.pop("openbao tokens", None)
    assert left == {}, describe(left)
    assert containers(cluster.state) == {}
