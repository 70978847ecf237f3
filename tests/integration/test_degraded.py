"""A ready environment that stops working is shown so, live, with why: on a real cluster, by a real service."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from environments.domain.environment import Event, EventType
from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.providers.local_cluster.agents.patience import wait_for
from environments.providers.nomad.client import NomadClient
from environments.wire.environments import CreateRequest, EnvironmentView
from tests.support import images_here
from tests.support.cluster import Cluster
from tests.support.service_process import ServiceProcess

NAME = "falling"

TEMPLATE = """
[template]
network = "host"
name = "degraded"
version = "1"
description = "A service that can be broken from outside"
[lifetime]
default = "1h"
[[steps]]
name = "seed"
uses = "nomad.job"
with = { file = "seed.nomad.hcl", variables = { image = "{{ images.base }}" } }
[[steps]]
name = "app"
uses = "nomad.job"
needs = ["seed"]
with = { file = "web.nomad.hcl", variables = { image = "{{ images.base }}" } }
"""

WEB = """
variable "environment" { type = string }
variable "image" { type = string }

job "web" {
  type = "service"
  update { min_healthy_time = "0s" }
  group "web" {
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    network {
      port "http" {}
    }
    service {
      name = "${var.environment}--web"
      port = "http"
      check {
        type     = "http"
        path     = "/well"
        interval = "1s"
        timeout  = "30s"
      }
    }
    task "web" {
      driver       = "docker"
      kill_timeout = "1s"
      config {
        image        = var.image
        force_pull   = false
        network_mode = "host"
        command      = "/usr/bin/bash"
        args         = ["-c", <<-EOT
          mkdir -p /tmp/served && cd /tmp/served && touch well
          exec python3 -m http.server --bind 127.0.0.1 $NOMAD_PORT_http
        EOT
        ]
      }
      resources {
        cpu    = 20
        memory = 48
      }
    }
  }
}
"""

SEED = """
variable "image" { type = string }

job "seed" {
  type = "batch"
  group "seed" {
    task "seed" {
      driver = "docker"
      config {
        image        = var.image
        force_pull   = false
        network_mode = "host"
        command      = "/usr/bin/true"
      }
      resources {
        cpu    = 20
        memory = 32
      }
    }
  }
}
"""


class Follower:
    """Reads the stream of events as any client does."""

    def __init__(self, service: ServiceProcess) -> None:
        self.events: list[Event] = []
        self._stream = service.client.events(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for item in self._stream:
            if isinstance(item, Event) and item.type is not EventType.LOG:
                self.events.append(item)

    def told(self) -> list[EventType]:
        """What was told of the flag so far."""
        flags = (EventType.ENVIRONMENT_DEGRADED, EventType.ENVIRONMENT_RECOVERED)
        return [event.type for event in self.events if event.type in flags]

    def has_told(self, count: int) -> list[EventType]:
        """The same once there are so many: the stream tells of a change after the environment shows it."""
        assert wait_for(lambda: len(self.told()) >= count, 60), self.told()
        return self.told()

    def close(self) -> None:
        self._stream.close()
        self._thread.join(timeout=120)


@pytest.fixture
def service(cluster: Cluster, tmp_path: Path) -> Iterator[ServiceProcess]:
    service = ServiceProcess(tmp_path / "service", cluster.agents.site.connections_file).start()
    images_here.publish(service.client, "base")
    files = {"template.toml": TEMPLATE, "web.nomad.hcl": WEB, "seed.nomad.hcl": SEED}
    service.client.push(make_bundle({name: text.encode() for name, text in files.items()}))
    yield service
    service.client.destroy(NAME)
    service.wait_for(NAME, State.DESTROYED)
    service.stop()


def until(service: ServiceProcess, true: Callable[[EnvironmentView], bool], seconds: float = 90) -> EnvironmentView:
    """The environment once that is so, with how long it took on standard output."""
    began = time.monotonic()
    while not true(view := service.client.environment(NAME)):
        assert time.monotonic() < began + seconds, f"{view.degraded}\n{service.story(NAME)}"
        time.sleep(0.1)
    print(f"{time.monotonic() - began:.1f} s until {[one.reason for one in view.degraded]}")
    return view


def container(nomad: NomadClient) -> str:
    """The container of the instance that runs; Nomad names it after task and allocation.

    Waits for it: an environment is ready when Consul's checks pass, which Nomad's server may hear of later.
    """

    def running() -> list[str]:
        return [found.id for found in nomad.allocations(NAME, "web")[1] if found.client == "running"]

    assert wait_for(lambda: len(running()) == 1, 60), nomad.allocations(NAME, "web")
    (found,) = running()
    return f"web-{found}"


def docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, capture_output=True, timeout=120)


def test_an_environment_is_degraded_and_recovers_without_anybody_asking(
    service: ServiceProcess, cluster: Cluster
) -> None:
    nomad = NomadClient(lambda: cluster.connections)
    follower = Follower(service)
    service.client.create(CreateRequest(name=NAME, template="degraded"))
    assert service.wait_for(NAME, State.READY, State.FAILED).state is State.READY
    # A batch job that is done may be forgotten.
    nomad.deregister(NAME, "seed", purge=True)

    # A check becomes critical, and passes again.
    docker("exec", container(nomad), "rm", "/tmp/served/well")
    view = until(service, lambda view: bool(view.degraded))
    (reason,) = view.degraded
    assert view.state is State.READY
    assert (reason.kind, reason.step) == ("consul.check", "app")
    assert reason.address == f"{NAME}--web"
    assert reason.reason.startswith(f"The check of service '{NAME}--web' is critical: ")
    assert "404" in reason.reason
    docker("exec", container(nomad), "touch", "/tmp/served/well")
    until(service, lambda view: not view.degraded)
    assert follower.has_told(2) == [EventType.ENVIRONMENT_DEGRADED, EventType.ENVIRONMENT_RECOVERED]

    # A restart of Nomad's agent isn't told of, and what happens after it is.
    agent = cluster.agents.agent("nomad")
    before = agent.pid()
    assert before is not None
    os.kill(before, signal.SIGKILL)
    assert wait_for(lambda: agent.pid() not in (None, before), 60)
    assert wait_for(lambda: agent.observe().healthy, 120), agent.observe()
    until(service, lambda _: b"backend.available" in service.log.read_bytes())
    docker("kill", container(nomad))
    view = until(service, lambda view: any(one.kind == "nomad.job" for one in view.degraded))
    reason = next(one for one in view.degraded if one.kind == "nomad.job")
    assert (reason.address, reason.step) == (f"{NAME}/web", "app")
    assert reason.reason.startswith("0 of 1 instance runs; Nomad won't retry it; task 'web' failed: ")

    # A repair starts it again; the flag goes with the change.
    service.client.repair(NAME)
    until(service, lambda view: view.state is not State.READY or not view.degraded)
    service.wait_for(NAME, State.READY)
    until(service, lambda view: view.state is State.READY and not view.degraded)

    # Somebody removes the job.
    nomad.deregister(NAME, "web", purge=True)
    view = until(service, lambda view: bool(view.degraded))
    assert view.degraded[0].reason == "The job is gone: somebody has removed it from Nomad."
    assert follower.has_told(4)[2] is EventType.ENVIRONMENT_DEGRADED
    follower.close()
