"""What people, apps and hostile jobs leave in an environment's places on the real parts, and who reads it then."""

import os
import urllib.parse
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from environments.domain.commands import CreateEnvironment
from environments.domain.environment import Environment
from environments.domain.errors import BackendError, NameTaken
from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.engine.abandoned import AbandonedObserver
from environments.engine.observe import BackendObserver
from environments.engine.plan import BackendPlanner
from environments.providers.backend.connections import Connections
from environments.providers.consul.client import ConsulClient
from environments.providers.consul.ports import Put, RemoveTree
from environments.providers.nomad.client import NomadClient
from environments.providers.vault.client import VaultClient
from environments.service.drift import Drifting
from environments.steps.base import Owner
from environments.steps.marks import MARK
from environments.steps.registry import StepRegistry
from tests.support import images_here
from tests.support.engine_harness import ADMIN, EngineHarness
from tests.support.step_harness import Run
from tests.support.web_harness import leftovers, tools

TINY = """
[template]
network = "host"
name = "tiny"
[[steps]]
name = "settings"
uses = "consul.kv"
with = { keys = { message = "hi" } }
"""
READER = """
[template]
network = "host"
name = "reader"
[[steps]]
name = "app"
uses = "nomad.job"
timeout = "45s"
with = { file = "app.nomad.hcl", variables = { image = "IMAGE", secret = SECRET } }
"""
JOB = """
variable "image" {}
variable "secret" { default = true }
job "app" {
  type = "service"
  update {
    min_healthy_time  = "0s"
    healthy_deadline  = "20s"
    progress_deadline = "25s"
    health_check      = "task_states"
  }
  group "app" {
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    task "app" {
      driver       = "docker"
      kill_timeout = "1s"
      config {
        image      = var.image
        force_pull = false
        init       = true
        entrypoint = ["/usr/bin/bash", "-c"]
        args       = ["sleep 3600"]
        network_mode = "host"
      }
      vault {}
      consul {}
      dynamic "template" {
        for_each = var.secret ? [1] : []
        content {
          destination = "secrets/k"
          data        = <<EOT
{{ with secret (printf "secret/data/environments/%s/nothing" (env "NOMAD_NAMESPACE")) }}{{ .Data.data.k }}{{ end }}
EOT
        }
      }
      resources {
        cpu    = 20
        memory = 32
      }
    }
  }
}
"""

ODD = ["a b", "ü/☃", "%2e%2e", "a%2Fb", "..x", "?a=b#c", "x" * 300, "/".join("d" * 60), "a;b", "back\\slash", "a&b+c"]
"""Below a folder in OpenBao; it refuses `..` as a part of a path and control characters by itself."""

ODDER = [*ODD, "../..", "a/../b", "a//b", "tail/", "../../kv/environments/x/y"]
"""In Consul."""


@pytest.fixture(scope="session")
def connections(request: pytest.FixtureRequest) -> Connections:
    """A real cluster: that of CALVINVERSE_TEST_CONNECTIONS (a connections file) if it is set, else one of our own."""
    running = os.environ.get("CALVINVERSE_TEST_CONNECTIONS")
    if running:
        return Connections.load(Path(running))
    found: Connections = request.getfixturevalue("cluster").connections
    return found


class Scene(EngineHarness):
    """A service on the real cluster, and one name."""

    def __init__(self, folder: Path, connections: Connections) -> None:
        self.connections = connections
        self.name = f"b{uuid4().hex[:6]}"
        self.keys = f"environments/{self.name}/"
        self.consul, self.nomad = ConsulClient(lambda: connections), NomadClient(lambda: connections)
        self.vault = VaultClient(lambda: connections)
        self.box = tools(connections)
        super().__init__(folder)

    def make_registry(self) -> StepRegistry:
        """The real step kinds."""
        return self.box

    def new_id(self, kind: str) -> str:
        """No other test's."""
        return f"{kind}-{uuid4().hex[:12]}"

    def open(self) -> None:
        """Also observes drift and what was abandoned."""
        super().open()
        planner = BackendPlanner(self.database, self.box)
        observer = BackendObserver(self.database, self.box, planner, self.clock)
        self.drifting = Drifting(self.database, observer, self.clock)
        self.after = AbandonedObserver(self.database, self.box, self.clock)

    def keep(self, text: str, *, secret: bool = False) -> None:
        """Pushes a template."""
        text = text.replace("IMAGE", images_here.reference("base")).replace("SECRET", str(secret).lower())
        self.catalogue.push(ADMIN, make_bundle({"template.toml": text.encode(), "app.nomad.hcl": JOB.encode()}))

    def put_secret(self, name: str, value: str) -> None:
        """What an admin does by hand."""
        path = urllib.parse.quote(f"/v1/secret/data/{self.keys}{name}")
        self.connections.caller("vault").call("POST", path, {"data": {"k": value}})

    def ask(self, template: str) -> None:
        """Asks for the environment."""
        self.requests.create(ADMIN, CreateEnvironment(name=self.name, template=template))

    def ends(self, *states: State) -> Environment:
        """The environment once it has come to an end, which must be one of these."""
        ends = (State.READY, State.FAILED, State.DESTROYED, State.DESTROY_FAILED)
        found = self.wait_for(*ends, name=self.name, seconds=120)
        assert found.state in states, found.failure
        return found

    def destroy(self, *states: State) -> Environment:
        """The environment once it is destroyed, or in one of these states."""
        self.requests.destroy(ADMIN, self.name)
        return self.ends(*(states or (State.DESTROYED,)))


@pytest.fixture
def scene(tmp_path: Path, connections: Connections) -> Iterator[Scene]:
    before = leftovers(connections)
    scene = Scene(tmp_path / "data", connections)
    scene.worker.start()
    yield scene
    scene.stop()
    after = leftovers(connections)
    assert {kind: after[kind] - before[kind] for kind in after if after[kind] - before[kind]} == {}


def test_what_is_left_by_hand_is_not_read_by_the_next_owner_of_the_name(scene: Scene) -> None:
    scene.keep(READER, secret=True)
    scene.ask("reader")
    scene.until(lambda: scene.nomad.namespace(scene.name) is not None, 60)
    scene.put_secret("nothing", "of the first owner")
    scene.ends(State.READY)  # its job has read that secret
    scene.destroy()
    assert scene.vault.secrets.paths(scene.keys) == []
    scene.ask("reader")
    failed = scene.ends(State.FAILED)
    assert failed.failure is not None
    assert failed.failure.step == "app"
    assert scene.vault.secrets.paths(scene.keys) == [f"{scene.keys}.owner"]
    scene.destroy()


def test_what_is_there_before_is_named_and_left_alone(scene: Scene) -> None:
    scene.keep(READER, secret=True)
    scene.put_secret("nothing", "of somebody")
    scene.ask("reader")
    failure = scene.ends(State.FAILED).failure
    assert failure is not None
    assert failure.code == "foreign_resource"
    assert "nothing" in failure.message
    assert scene.nomad.namespace(scene.name) is None
    scene.destroy()
    found = scene.connections.caller("vault").get(f"/v1/secret/data/{scene.keys}nothing")
    assert found["data"]["data"] == {"k": "of somebody"}
    scene.vault.secrets.remove(f"{scene.keys}nothing")


def _plant(scene: Scene) -> None:
    name, vault = scene.name, scene.connections.caller("vault")
    consul, nomad = scene.connections.caller("consul"), scene.connections.caller("nomad")
    for odd in ODD:
        scene.put_secret(f"odd/{odd}", "v")
    scene.put_secret("deleted", "v")
    vault.call("DELETE", f"/v1/secret/data/{scene.keys}deleted")
    for number in range(700):
        scene.vault.secrets.mark(f"{scene.keys}many/{number}", {MARK: "env-forged"})
    for odd in ODDER:
        scene.consul.commit([Put(scene.keys + odd, b"1")])
        body = {"ID": f"{name}/{odd}", "Name": f"{name}--{odd}", "Address": "127.0.0.1", "Port": 9}
        consul.call("PUT", "/v1/agent/service/register", {**body, "Meta": {MARK: "env-forged"}})
    for start in range(0, 1200, 60):
        scene.consul.commit([Put(f"{scene.keys}many/{start + number}", b"1") for number in range(60)])
    variable = {"Namespace": name, "Path": "nomad/jobs/app", "Items": {"a": "b"}}
    nomad.call("PUT", f"/v1/var/nomad/jobs/app?namespace={name}", variable)
    mode = {"AttachmentMode": "file-system", "AccessMode": "single-node-writer"}
    volume = {"Name": "a", "Namespace": name, "PluginID": "mkdir", "RequestedCapabilities": [mode]}
    nomad.call("PUT", f"/v1/volume/host/create?namespace={name}", {"Volume": volume})
    job = scene.nomad.job(name, "app")
    assert job is not None
    unmarked = {key: value for key, value in job["Meta"].items() if key != MARK}
    scene.nomad.register(name, {**job, "ID": "by/../hand", "Name": "by hand", "Meta": unmarked}, 0)
    role: dict[str, Any] = {"allow_any_name": True, "generate_lease": True, "key_type": "ec", "key_bits": 256}
    scene.vault.pki.write_role(name, {**role, "ou": ["by hand"], "ttl": 3600})
    vault.call("POST", f"/v1/pki/issue/{name}", {"common_name": f"{name}--web.service.consul"})


def test_what_is_left_by_hand_goes_with_the_environment(scene: Scene) -> None:
    scene.keep(READER)
    scene.ask("reader")
    scene.ends(State.READY)
    _plant(scene)
    scene.destroy()
    assert scene.vault.secrets.paths(scene.keys) == []
    assert scene.consul.keys(scene.keys) == []
    assert scene.consul.registered(f"{scene.name}--") == []
    known = scene.connections.caller("consul").get("/v1/agent/services")
    assert [found for found in known.values() if found["Service"].startswith(f"{scene.name}--")] == []
    scene.keep(TINY)
    scene.ask("tiny")
    scene.ends(State.READY)
    scene.destroy()


def test_an_emptied_folder_in_consul_is_drift_and_is_repaired_and_destroyed(scene: Scene) -> None:
    scene.keep(TINY)
    scene.ask("tiny")
    scene.ends(State.READY)
    scene.consul.commit([RemoveTree(scene.keys)])
    scene.consul.commit([Put(f"{scene.keys}state", b"written by the app")])
    drift = scene.drifting.observe(ADMIN, scene.name).drift
    assert drift is not None
    assert drift.found
    assert [found.address for found in drift.unexpected] == [f"{scene.keys}state"]
    assert {change.address for step in drift.steps for change in step.changes} == {
        scene.keys,
        f"{scene.keys}message",
    }
    scene.recovery.repair(ADMIN, scene.name)
    scene.until(lambda: f"{scene.keys}.owner" in scene.consul.keys(scene.keys), 60)
    scene.ends(State.READY)
    scene.consul.commit([RemoveTree(f"{scene.keys}.owner")])
    scene.destroy()
    assert scene.consul.keys(scene.keys) == []


def test_a_name_that_was_given_up_is_reserved_while_its_job_runs(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BackendError("The node is away.")

    scene.keep(READER)
    scene.ask("reader")
    environment = scene.ends(State.READY)
    with monkeypatch.context() as stubborn:
        stubborn.setattr(NomadClient, "deregister", refuse)
        scene.destroy(State.DESTROY_FAILED)
        scene.recovery.abandon(ADMIN, scene.name, reason="the node is away")
    assert scene.nomad.running(scene.name) == {"app": 1}
    scene.clock.ahead = timedelta(minutes=11)
    assert scene.after.observe_due() == [scene.name]
    with pytest.raises(NameTaken, match="was abandoned"):
        scene.ask("reader")
    with scene.database.read() as tx:
        held = tx.inventory.held(environment.id, gone=True)
        shared = tx.inventory.shared_by_rank(environment.id)
    owner = Owner(environment.id, environment.name, held)
    for resource in shared:  # somebody removes all of it by hand
        scene.box.handlers[resource.kind].destroy(resource.address, owner, Run(limit=60))
    scene.recovery.abandon(ADMIN, f"id:{environment.id}", reason="removed by hand")
    assert scene.after.observe_due() == [scene.name]
    scene.ask("reader")
    scene.ends(State.READY)
    scene.destroy()
