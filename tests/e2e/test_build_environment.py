"""An environment that makes images: a build is sent there, followed, stopped, deployed from, and nothing stays."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

import jobs
from environments.client import read_bundle
from environments.domain.lifecycle import State
from environments.wire.environments import CreateRequest
from images.catalogue.channels import Catalogue
from images.catalogue.journal import Channel
from images.docker import Docker
from tests.support import images_here
from tests.support.cluster import Cluster
from tests.support.cluster_snapshot import Taker, describe
from tests.support.service_process import ServiceProcess

BUILD = Path(jobs.__file__).parent / "build"
CHECKOUT = BUILD.parent.parent

RUNNER = """
job "pulled" {
  type = "batch"
  group "pulled" {
    restart { attempts = 0 }
    reschedule { attempts = 0 }
    task "pulled" {
      driver = "docker"
      config {
        image        = "%s"
        network_mode = "host"
        command      = "python3"
        args         = ["-c", "print('it runs')"]
      }
      resources { memory = 32 }
    }
  }
}
"""


@dataclass
class Dispatch:
    """`doit dispatch` as a process of its own, and what it says."""

    process: subprocess.Popen[str]
    said: list[tuple[float, str]] = field(default_factory=list)

    def listen(self, until: str = "") -> bool:
        """Reads until a line holds a text, or to the end; whether it was found."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append((time.monotonic(), line.rstrip()))
            if until and until in line:
                return True
        return False

    def end(self) -> tuple[int, list[str], str]:
        """Exit status, the references on standard output, and all that was said."""
        self.listen()
        with self.process:
            output = self.process.stdout.read() if self.process.stdout else ""
        # doit writes the names of tasks and their failures there too.
        references = [word for word in output.split() if "@" in word]
        return self.process.wait(60), references, "\n".join([*(line for _, line in self.said), output])


def dispatch(service: ServiceProcess, cluster: Cluster, *arguments: str) -> Dispatch:
    """Begins it, with the catalogue and the admin's credential of the cluster's state folder."""
    environment = {
        **os.environ,
        "CALVINVERSE_STATE": str(cluster.state),
        "CALVINVERSE_ADDRESS": service.address,
        "CALVINVERSE_TOKEN_FILE": str(service.state / "service" / "token"),
    }
    command = [sys.executable, "-m", "doit", "dispatch", *arguments]
    return Dispatch(
        subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    )


@pytest.fixture
def builds(service: ServiceProcess, cluster: Cluster, taker: Taker) -> Iterator[str]:
    """The registry (`host:port`) of an environment `builds`; afterwards nothing of it is left, on the node either."""
    images_here.publish(service.client, "registry", "build-agent")
    service.client.push(read_bundle(BUILD))
    before = taker.take()
    service.client.create(CreateRequest(name="builds", template="build", ttl="1h"))
    made = service.wait_for("builds", State.READY, State.FAILED)
    assert made.state is State.READY, made.failure
    registry = str(made.outputs["registry"].value)
    yield registry
    service.client.destroy("builds")
    assert service.wait_for("builds", State.DESTROYED, State.DESTROY_FAILED).state is State.DESTROYED
    left = taker.left_since(before)
    assert left == {}, describe(left)
    assert left_by_builds(cluster) == []
    for reference in names_at(registry):  # what Nomad pulled is the engine's own
        Docker().untag(reference)
    assert names_at(registry) == []


def left_by_builds(cluster: Cluster) -> list[str]:
    """What is still on the node of the builds that are recorded: their containers and folders."""
    catalogue = Catalogue(cluster.state)
    builds = [record.build for name in catalogue.names() for record in catalogue.records(name).all()]
    names = subprocess.run(
        ["docker", "ps", "--all", "--format", "{{.Names}}"], check=True, capture_output=True, text=True, timeout=120
    ).stdout.split()
    found = [name for name in names if name.endswith(tuple(builds))]
    return [*found, *(str(path) for path in cluster.agents.nomad.builds.iterdir())]


def names_at(registry: str) -> list[str]:
    """Names that images of the engine have in this registry, by digest or tag."""
    form = "{{.Repository}}:{{.Tag}} {{.Repository}}@{{.Digest}}"
    listed = subprocess.run(
        ["docker", "image", "ls", "--digests", "--format", form, f"{registry}/*/*"],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return [name for name in listed.stdout.split() if "<none>" not in name]


def test_base_is_the_same_wherever_it_is_made(service: ServiceProcess, cluster: Cluster, builds: str) -> None:
    running = dispatch(service, cluster, "--images", "base", "--anew")
    assert running.listen(until="agent: this agent has access to the engine's socket")
    began = running.said[-1][0]
    status, output, said = running.end()
    assert status == 0, said
    assert "base: building again, as requested" in said
    assert running.said[-1][0] - began > 5, "it was told at the end and not as it happened"

    # The image is what this machine makes of the same sources, and the registry has it by its digest.
    (reference,) = output
    assert re.fullmatch(rf"{re.escape(builds)}/calvinverse/base@sha256:[0-9a-f]{{64}}", reference)
    catalogue = Catalogue(cluster.state)
    record = catalogue.present("base")
    here = Catalogue().present("base")
    assert record.inputs == here.inputs, "the tests take the images of these very sources: run `doit build` first"
    assert record.image_id == here.image_id
    assert record.usable
    assert record.made_by == record.build
    assert "in builds" in record.origin
    assert catalogue.deployable("base", Channel.QA, reference).build == record.build
    manifest = httpx2.get(
        f"http://{builds}/v2/calvinverse/base/manifests/{reference.partition('@')[2]}",
        headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"},
        trust_env=False,
        timeout=60,
    ).json()
    assert manifest["config"]["digest"] == here.image_id
    assert names_at(builds) == [], "tags for pushing are taken away"

    events = run_once(cluster, reference)
    assert any(event["Type"] == "Driver" and "Downloading image" in event["DisplayMessage"] for event in events)
    assert any(event["Type"] == "Terminated" and event["Details"]["exit_code"] == "0" for event in events)


def run_once(cluster: Cluster, image: str) -> list[dict[str, Any]]:
    """Runs a task from an image in the build environment's namespace, and gives what Nomad tells of it."""
    nomad = cluster.connections.caller("nomad")
    job = nomad.call("POST", "/v1/jobs/parse", {"JobHCL": RUNNER % image, "Canonicalize": True})
    nomad.call("POST", "/v1/jobs?namespace=builds", {"Job": {**job, "Namespace": "builds"}})
    end = time.monotonic() + 120
    while True:
        allocations = nomad.get("/v1/job/pulled/allocations?namespace=builds") or []
        if allocations and allocations[0]["ClientStatus"] in ("complete", "failed"):
            events: list[dict[str, Any]] = allocations[0]["TaskStates"]["pulled"]["Events"]
            return events
        assert time.monotonic() < end, allocations
        time.sleep(0.1)


def test_an_interrupted_build_is_stopped_there(service: ServiceProcess, cluster: Cluster, builds: str) -> None:
    running = dispatch(service, cluster, "--images", "base", "--anew")
    assert running.listen(until="base: building again, as requested")
    time.sleep(2)
    os.kill(running.process.pid, signal.SIGINT)
    status, output, said = running.end()
    assert status != 0
    assert output == []
    assert "The build was stopped there; nothing incomplete is left." in said
    assert "base: interrupted" in said
    assert left_by_builds(cluster) == []


def test_what_can_not_be_built_is_said(service: ServiceProcess, cluster: Cluster) -> None:
    for arguments, expected in (
        (["--images", "nothing"], "There is no image 'nothing'"),
        (["--images", "base"], "No build environment is ready"),
        (["--environment", "elsewhere"], "elsewhere"),
    ):
        status, _, said = dispatch(service, cluster, *arguments).end()
        assert status != 0
        assert expected in said
        assert "Traceback" not in said
