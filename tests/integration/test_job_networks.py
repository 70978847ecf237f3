"""Jobs with networks of their own, on a real Nomad: reached from the node, and not reaching what listens on it."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from environments.domain.errors import StepFailed
from environments.providers.local_cluster.agents import networks, processes
from environments.steps.base import Owner
from tests.support import images_here
from tests.support.cluster import Cluster, start_cluster
from tests.support.step_harness import TEMPLATE
from tests.support.web_harness import WEB, Made, folder, new_owner, tools, until

_PROBE = """
import http.server, json, os, socket
seen = {}
for place in json.loads(os.environ["PLACES"]):
    host, port = place.rsplit(":", 1)
    with socket.socket() as probe:
        probe.settimeout(5)
        seen[place] = os.strerror(code) if (code := probe.connect_ex((host, int(port)))) else "open"
open(os.environ["NOMAD_TASK_DIR"] + "/index.html", "w").write(json.dumps(seen))
os.chdir(os.environ["NOMAD_TASK_DIR"])
server = http.server.ThreadingHTTPServer(("0.0.0.0", 8000), http.server.SimpleHTTPRequestHandler)
server.serve_forever()
"""

JOB = """
variable "environment" {}
variable "image" {}
variable "places" {}
variable "probe" {}
job "app" {
  update {
    min_healthy_time = "0s"
    healthy_deadline = "60s"
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
        interval = "1s"
        timeout  = "1s"
      }
    }
    task "app" {
      driver = "docker"
      config {
        image      = var.image
        force_pull = false
        init       = true
        entrypoint = ["python3", "-c", var.probe]
      }
      env {
        PLACES = var.places
      }
      resources {
        cpu    = 20
        memory = 48
      }
    }
  }
}
"""


def made(cluster: Cluster, places: list[str]) -> Made:
    """An environment with the job above, not applied yet. `places` are tried from inside."""
    found = Made(tools(cluster.connections), new_owner(), folder(WEB))
    given = {"image": images_here.reference("base"), "places": json.dumps(places), "probe": _PROBE}
    template = TEMPLATE.split("[[steps]]")[0] + (
        '[[steps]]\nname = "app"\nuses = "nomad.job"\n[steps.with]\nfile = "app.hcl"\n[steps.with.variables]\n'
        + "\n".join(f"{name} = {json.dumps(value)}" for name, value in given.items())
    )
    found.bundle = folder(WEB, {"template.toml": template, "app.hcl": JOB})
    return found


def address(owner: Owner, cluster: Cluster) -> str:
    """Where Consul says that users reach the service; all checks of it pass."""
    (instance,) = cluster.connections.caller("consul").call("GET", f"/v1/health/service/{owner.name}--app?passing=true")
    return f"http://{instance['Service']['Address']}:{instance['Service']['Port']}"


@pytest.fixture
def listener() -> Iterator[int]:
    """Something of the node that listens on loopback, as the service does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_job_is_reached_at_a_port_of_its_node_and_reaches_nothing_on_loopback(
    cluster: Cluster, listener: int
) -> None:
    ports = cluster.agents.site.ports
    subnet = json.loads(cluster.agents.nomad.config.read_text())["client"]["bridge_network_subnet"]
    gateway = subnet.replace(".0/21", ".1")
    parts = [ports.nomad_http, ports.nomad_rpc, ports.consul_http, ports.consul_dns, ports.openbao_http, listener]
    tried = [f"{host}:{port}" for host in ("127.0.0.1", gateway) for port in parts]
    environment = made(cluster, tried)
    try:
        environment.apply()
        at = address(environment.owner, cluster)
        assert at == environment.outputs["app"]["services"]["app"]["url"]
        assert at.startswith("http://127.0.0.1:")
        seen = httpx2.get(at, timeout=20, trust_env=False).json()
        assert seen == dict.fromkeys(tried, "Connection refused")
    finally:
        environment.destroy()


def left_of(bridge: str, subnet: str) -> list[str]:
    """What is there of a bridge and its subnet: interfaces, rules, leases, claims."""
    first = subnet.rpartition(".")[0] + "."
    rules = [
        line
        for table in ("filter", "nat")
        for line in subprocess.run(
            ["iptables", "-w", "30", "-t", table, "-S"], capture_output=True, text=True, timeout=60, check=True
        ).stdout.splitlines()
    ]
    return [
        *(path.name for path in Path("/sys/class/net").iterdir() if path.name == bridge),
        *(rule for rule in rules if bridge in rule or first in rule),
        *(str(path) for path in Path("/var/run/cni/nomad").glob(f"{first}*")),
        *(str(path) for path in networks._CLAIMS.glob(f"{first}*")),
    ]


@pytest.mark.parametrize("crash", [False, True])
def test_nothing_is_left_of_the_networks_of_a_cluster(tmp_path: Path, crash: bool) -> None:
    """Whether it is removed as it should be, or after everything of it was killed."""
    own = start_cluster(tmp_path)
    site, closed = own.agents.site, False
    try:
        client = json.loads(own.agents.nomad.config.read_text())["client"]
        bridge, subnet = client["bridge_network_name"], client["bridge_network_subnet"]
        environment = made(own, [])
        environment.apply()
        assert len(left_of(bridge, subnet)) > 3
        allocations = [path.name for path in (site.folder / "nomad" / "data" / "alloc").iterdir()]
        if crash:
            supervisor = processes.started_with(str(site.folder / "supervisor" / "supervisord.conf"))
            agents = [pid for agent in own.agents.all() if (pid := agent.pid()) is not None]
            for pid in [*supervisor, *agents]:
                os.kill(pid, signal.SIGKILL)
            until(lambda: all(processes.is_ending(pid) for pid in agents), 60)
        own.close()
        closed = True
        assert left_of(bridge, subnet) == []
        names = subprocess.run(
            ["docker", "ps", "-a", "--format", "{{.Names}}"], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        assert [allocation for allocation in allocations if allocation in names] == []
        assert not list(networks._RESULTS.glob(f"*{allocations[0]}*"))
    finally:
        if not closed:
            own.close()


def test_where_nomad_can_give_no_networks_such_a_job_fails_at_once(tmp_path: Path) -> None:
    own = start_cluster(tmp_path, bridge=False)
    try:
        environment = made(own, [])
        with pytest.raises(StepFailed, match="asks for a network of its own, which no node can give") as caught:
            environment.apply()
        assert "CNI" in caught.value.hint
        environment.destroy()
    finally:
        own.close()
