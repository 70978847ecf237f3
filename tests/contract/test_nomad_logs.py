"""What the service relies on in Nomad to read what tasks write."""

import time
from collections.abc import Callable, Iterator

import pytest

from environments.domain.containers import Container, LogFile, Stream
from environments.providers.backend.connections import Connections
from environments.providers.nomad.client import NomadClient
from environments.providers.nomad.container_logs import NomadContainers
from environments.providers.nomad.ports import NomadApi
from environments.service.container_logs import ContainerSource
from tests.fakes.backends.nomad import MemoryNomad
from tests.fakes.backends.nomad_logs import MemoryContainers
from tests.support import images_here

PATIENCE = 120.0
SCRIPT = r"""
ln -s /etc/passwd /alloc/logs/task.stdout.7; mkdir /alloc/logs/task.stdout.8; echo no > /alloc/logs/task.stdout.x
echo first; echo wrong >&2; echo second; exec sleep 3600
"""


class World:
    """A job of one task, which writes as `SCRIPT` says."""

    def __init__(self, nomad: NomadApi, source: ContainerSource, namespace: str) -> None:
        self.source = source
        self.namespace = namespace
        self._nomad = nomad

    def run(self) -> Container:
        """Registers the job, and waits until it has written."""
        image = "any" if isinstance(self._nomad, MemoryNomad) else images_here.reference("base")
        config = {"image": image, "force_pull": False, "network_mode": "host", "command": "/usr/bin/bash"}
        task = {
            "Name": "task",
            "Driver": "docker",
            "KillTimeout": 1_000_000_000,
            "Config": {**config, "args": ["-c", SCRIPT]},
            "Resources": {"CPU": 20, "MemoryMB": 32},
        }
        group = {"Name": "group", "Count": 1, "Tasks": [task], "Services": [], "Update": {"MinHealthyTime": 0}}
        job = {
            "ID": "app",
            "Name": "app",
            "Type": "service",
            "Namespace": self.namespace,
            "Datacenters": ["*"],
            "TaskGroups": [group],
        }
        self._nomad.register(self.namespace, job, 0)
        if isinstance(self.source, MemoryContainers):
            (container,) = self.source.containers(self.namespace)
            self.source.write(container, "first\nsecond\n")
            self.source.write(container, "wrong\n", Stream.STDERR)
        found = self.until(lambda: [one for one in self.source.containers(self.namespace) if one.state == "running"])
        self.until(lambda: self.text(found[0], Stream.STDOUT).endswith("second\n"))
        return found[0]

    def text(self, container: Container, stream: Stream) -> str:
        """All of a stream."""
        files = [file for file in self.source.files(self.namespace, container) if file.stream is stream]
        parts = (self.source.read(self.namespace, container, file, 0, file.size) for file in files)
        return b"".join(parts).decode()

    def end(self) -> None:
        """Stops the job."""
        self._nomad.deregister(self.namespace, "app", purge=False)
        self.until(lambda: not self._nomad.running(self.namespace))

    def until(self, found: Callable[[], object]) -> list[Container]:
        """What is found in the end."""
        end = time.monotonic() + PATIENCE
        while not (it := found()):
            assert time.monotonic() < end
            time.sleep(0.1)
        return it if isinstance(it, list) else []


@pytest.fixture(params=["memory", "real"])
def world(request: pytest.FixtureRequest, real: Callable[[], Connections], name: str) -> Iterator[World]:
    memory = MemoryNomad()
    nomad: NomadApi = memory if request.param == "memory" else NomadClient(real)
    source: ContainerSource = MemoryContainers(memory) if request.param == "memory" else NomadContainers(real)
    nomad.write_namespace(name, "a test", {"owner": "me"})
    world = World(nomad, source, name)
    yield world
    world.end()
    nomad.deregister(name, "app", purge=True)
    end = time.monotonic() + PATIENCE
    while nomad.namespace(name) is not None:
        assert time.monotonic() < end
        nomad.remove_namespace(name)


def test_what_a_task_writes_is_read_by_files_and_offsets(world: World) -> None:
    container = world.run()
    assert (container.job, container.group, container.task, container.state) == ("app", "group", "task", "running")
    assert (container.restarts, container.failed, container.finished_at) == (0, False, None)
    assert container.started_at is not None
    assert container.created_at <= container.started_at

    files = world.source.files(world.namespace, container)
    assert {(file.stream, file.number, file.size) for file in files} == {
        (Stream.STDOUT, 0, len("first\nsecond\n")),
        (Stream.STDERR, 0, len("wrong\n")),
    }, "what a task puts there itself isn't its log"
    assert world.text(container, Stream.STDERR) == "wrong\n"
    (out,) = (file for file in files if file.stream is Stream.STDOUT)
    assert world.source.read(world.namespace, container, out, 6, 3) == b"sec"
    assert world.source.read(world.namespace, container, out, 6, 300) == b"second\n"
    assert world.source.read(world.namespace, container, out, out.size, 10) == b""
    assert world.source.read(world.namespace, container, LogFile(Stream.STDOUT, 3, 10), 0, 10) == b""

    world.end()
    (ended,) = world.source.containers(world.namespace)
    assert (ended.allocation, ended.state, ended.ended) == (container.allocation, "dead", True)
    assert world.text(ended, Stream.STDOUT) == "first\nsecond\n"


def test_a_namespace_that_is_not_there_has_no_containers(world: World, name: str) -> None:
    assert world.source.containers(f"{name}-other") == []
    assert world.source.containers(name) == []
