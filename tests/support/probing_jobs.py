"""Environments whose job tries to reach things from its own network, and serves what it found."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2

from environments.steps.base import Owner
from tests.support import images_here
from tests.support.cluster import Cluster
from tests.support.step_harness import TEMPLATE
from tests.support.web_harness import WEB, Made, folder, new_owner, tools

PORT = 8000
"""What the job listens on in its network."""

PROBE = """
import http.server, json, os, socket
from concurrent.futures import ThreadPoolExecutor

def look(place):
    kind, _, rest = place.partition(":")
    try:
        if kind == "unix":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(rest)
            return "open"
        host, port = rest.rsplit(":", 1)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as probe:
            probe.settimeout(4)
            probe.connect(socket.getaddrinfo(host, int(port), family)[0][4])
            if kind == "udp":
                # A question of DNS for the address of localhost: whoever answers anything is reached.
                probe.send(bytes.fromhex("000101000001000000000000096c6f63616c686f73740000010001"))
                probe.recv(1)
        return "open"
    except OSError:
        return "closed"

def names(found):
    try:
        return sorted({entry[4][0] for entry in socket.getaddrinfo(found, None, socket.AF_INET)})
    except OSError as error:
        return [str(error)]

places = json.loads(os.environ["PLACES"])

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with ThreadPoolExecutor(64) as pool:
            if self.path.startswith("/names/"):
                found = names(self.path.removeprefix("/names/"))
            elif self.path.startswith("/look/"):
                found = look(self.path.removeprefix("/look/"))
            else:
                found = dict(zip(places, pool.map(look, places)))
        text = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Answer).serve_forever()
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
        method   = "HEAD"
        path     = "/"
        interval = "1s"
        timeout  = "30s"
      }
    }
    service {
      name         = "${var.environment}--inside"
      port         = "http"
      address_mode = "alloc"
      check {
        type         = "http"
        method       = "HEAD"
        path         = "/"
        address_mode = "alloc"
        interval     = "1s"
        timeout      = "30s"
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
        memory = 96
      }
    }
  }
}
"""


def made(cluster: Cluster, places: Sequence[str] = (), changes: Mapping[str, str] | None = None) -> Made:
    """An environment with the job above, not applied yet.

    `places` (`tcp:<address>:<port>`, `udp:…`, `unix:<path>`) are what `seen` tries. `changes` are made in the job file.
    """
    found = Made(tools(cluster.connections), new_owner(), folder(WEB))
    given = {"image": images_here.reference("base"), "places": json.dumps(list(places)), "probe": PROBE}
    template = TEMPLATE.split("[[steps]]")[0] + (
        '[[steps]]\nname = "app"\nuses = "nomad.job"\n[steps.with]\nfile = "app.hcl"\n[steps.with.variables]\n'
        + "\n".join(f"{name} = {json.dumps(value)}" for name, value in given.items())
    )
    job = JOB
    for old, new in (changes or {}).items():
        assert old in job
        job = job.replace(old, new)
    found.bundle = folder(WEB, {"template.toml": template, "app.hcl": job})
    return found


def address(owner: Owner, cluster: Cluster, service: str = "app") -> str:
    """`<address>:<port>`, where Consul says that users reach the service; all checks of it pass."""
    path = f"/v1/health/service/{owner.name}--{service}?passing=true"
    (instance,) = cluster.connections.caller("consul").call("GET", path)
    return f"{instance['Service']['Address']}:{instance['Service']['Port']}"


def seen(owner: Owner, cluster: Cluster, path: str = "") -> Any:
    """What the job finds: for its places, or for a name (`names/<name>`) or one place (`look/<place>`)."""
    answer = httpx2.get(f"http://{address(owner, cluster)}/{path}", timeout=120, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()
