"""Triggers on what a real cluster tells: the end of a job, idleness, and a key that changed while nobody watched."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.providers.local_cluster.agents.patience import wait_for
from environments.wire.environments import CreateRequest
from tests.support import images_here
from tests.support.cluster import Cluster
from tests.support.service_process import ServiceProcess

WORK = """
[template]
name = "work"
[[steps]]
name = "work"
uses = "nomad.job"
with = { file = "job.nomad.hcl", variables = { image = "{{ images.base }}" } }
[[triggers]]
name = "done"
on = "nomad.job"
kinds = ["complete"]
when = { job = "work" }
action = "destroy"
"""

WORK_JOB = """
variable "image" {}
job "work" {
  type = "batch"
  group "work" {
    network {
      mode = "bridge"
    }
    task "work" {
      driver = "docker"
      config {
        image      = var.image
        force_pull = false
        entrypoint = ["/usr/bin/true"]
      }
      resources {
        cpu    = 20
        memory = 32
      }
    }
  }
}
"""

APP = """
[template]
name = "app"
[[steps]]
name = "app"
uses = "nomad.job"
with = { file = "job.nomad.hcl", variables = { image = "{{ images.base }}" } }
[[triggers]]
name = "unused"
on = "idle"
for = "1m"
cpu = 300
bytes = 1000
action = "destroy"
"""

APP_JOB = """
variable "environment" {}
variable "image" {}
job "app" {
  update {
    min_healthy_time = "0s"
  }
  group "app" {
    network {
      mode = "bridge"
      port "http" {
        to = 8000
      }
    }
    consul {}
    service {
      name         = "${var.environment}--app"
      port         = "http"
      address_mode = "host"
      check {
        type     = "http"
        path     = "/"
        interval = "2s"
        timeout  = "30s"
      }
    }
    task "app" {
      driver = "docker"
      config {
        image      = var.image
        force_pull = false
        init       = true
        entrypoint = ["python3", "-m", "http.server", "--directory", "/usr/share/doc", "8000"]
      }
      resources {
        cpu    = 50
        memory = 96
      }
    }
  }
}
"""

KEYED = """
[template]
name = "keyed"
[[steps]]
name = "settings"
uses = "consul.kv"
with = { keys = { first = "1" } }
[[triggers]]
name = "told"
on = "consul.key"
when = { key = "environments/{{ environment.name }}/stop" }
action = "destroy"
"""


@pytest.fixture
def service(cluster: Cluster, tmp_path: Path) -> Iterator[ServiceProcess]:
    service = ServiceProcess(tmp_path / "service", cluster.agents.site.connections_file).start()
    images_here.publish(service.client, "base")
    for template, job in ((WORK, WORK_JOB), (APP, APP_JOB), (KEYED, "")):
        files = {"template.toml": template} | ({"job.nomad.hcl": job} if job else {})
        service.client.push(make_bundle({name: text.encode() for name, text in files.items()}))
    yield service
    try:
        for environment in service.client.environments():
            service.client.destroy(environment.name)
        assert wait_for(lambda: not service.client.environments(), 120)
    finally:
        service.stop()


def _state(service: ServiceProcess, name: str) -> State:
    return service.client.environment(name).state


def _becomes(service: ServiceProcess, name: str, state: State, seconds: float = 120) -> None:
    assert wait_for(lambda: _state(service, name) is state, seconds), service.client.environment(name)


def test_the_end_of_a_batch_job_destroys_its_environment(service: ServiceProcess) -> None:
    service.client.create(CreateRequest(name="batch", template="work"))
    _becomes(service, "batch", State.DESTROYED)


def test_a_key_that_changed_while_the_service_was_down_is_found(service: ServiceProcess, cluster: Cluster) -> None:
    service.client.create(CreateRequest(name="keyed", template="keyed"))
    _becomes(service, "keyed", State.READY)
    time.sleep(5)  # it is known what was there
    service.stop()
    cluster.connections.caller("consul").call("PUT", "/v1/kv/environments/keyed/stop", "now")
    service.start()
    _becomes(service, "keyed", State.DESTROYED)


def test_an_idle_environment_is_destroyed_and_a_busy_one_is_kept(service: ServiceProcess, cluster: Cluster) -> None:
    for name in ("idle", "busy"):
        service.client.create(CreateRequest(name=name, template="app"))
    for name in ("idle", "busy"):
        _becomes(service, name, State.READY)
    ended = threading.Event()

    def use() -> None:
        (found,) = cluster.connections.caller("consul").call("GET", "/v1/health/service/busy--app")
        address = f"http://{found['Service']['Address']}:{found['Service']['Port']}/"
        while not ended.wait(10):
            httpx2.get(address, timeout=20, trust_env=False)

    user = threading.Thread(target=use, daemon=True)
    user.start()
    try:
        _becomes(service, "idle", State.DESTROYED, 400)
        time.sleep(70)  # as long again
        assert _state(service, "busy") is State.READY
    finally:
        ended.set()
        user.join(timeout=30)
