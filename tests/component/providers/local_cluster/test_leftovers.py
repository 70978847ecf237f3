"""What is cleared away after an agent is what its own data folder proves to be its own; what others have stays."""

import json
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from environments.domain.errors import MachineError
from environments.providers.local_cluster.agents import leftovers, processes
from environments.providers.local_cluster.agents.local import LocalAgents
from environments.providers.local_cluster.agents.patience import wait_for

OURS, THEIRS = "0aa1b2c3-0000-4000-8000-000000000001", "0aa1b2c3-0000-4000-8000-000000000002"
LABEL = "com.hashicorp.nomad.alloc_id"


class Engine(socketserver.ThreadingUnixStreamServer):
    """A Docker engine that has `containers` (id → sources of its mounts) and answers on a socket of its own."""

    daemon_threads = True

    def __init__(self, path: Path, containers: dict[str, list[str]]) -> None:
        self.containers = containers
        self.labels: dict[str, str] = {}
        """Container → the allocation that its label says."""
        self.networks: dict[str, str] = {}
        """Container → the one whose network it uses."""
        self.refused: dict[str, str] = {}
        """Container → why it isn't removed."""
        super().__init__(str(path), _Answers)


class _Answers(BaseHTTPRequestHandler):
    server: Engine

    def do_GET(self) -> None:
        found = [
            {
                "Id": name,
                "Names": [f"/{name}"],
                "Labels": {LABEL: self.server.labels.get(name, "any")},
                "Mounts": [{"Source": source} for source in sources],
                "HostConfig": {"NetworkMode": f"container:{self.server.networks[name]}"}
                if name in self.server.networks
                else {},
            }
            for name, sources in self.server.containers.items()
        ]
        self._say(json.dumps(found).encode())

    def do_DELETE(self) -> None:
        name = self.path.split("/")[2].partition("?")[0]
        if name in self.server.refused:
            self._say(json.dumps({"message": self.server.refused[name]}).encode(), 500)
        else:
            gone = self.server.containers.pop(name, None)
            self._say(b"", 404 if gone is None else 204)

    def _say(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def address_string(self) -> str:
        return "a socket"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "agents" / "nomad" / "data"
    (folder / "alloc" / OURS / "app").mkdir(parents=True)
    return folder


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Groups as cgroup v1 and v2 have them: one folder for all agents of the machine."""
    root = tmp_path / "cgroup"
    for name in (OURS, THEIRS):
        for place in ("freezer/nomad", "memory/nomad", "cpuset/nomad/reserve", "cpuset/nomad/share"):
            (root / place / f"{name}.app").mkdir(parents=True)
        (root / "nomad.slice" / "share.slice" / f"{name}.app.scope").mkdir(parents=True)
    (root / "memory" / "mine.slice" / "inner").mkdir(parents=True)
    monkeypatch.setattr(leftovers, "_CGROUPS", root)
    return root


@pytest.fixture
def engine(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    containers = {
        "ours": [f"{data}/alloc/{OURS}/alloc"],
        "another-checkout": ["/elsewhere/agents/nomad/data/alloc/x/alloc"],
        "same-beginning": [f"{data}-of-somebody/alloc"],
        "without-mounts": [],
        f"nomad_init_{OURS}": [],
        f"nomad_init_{THEIRS}": [],
    }
    with Engine(path, containers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_containers_and_groups_of_others_stay(engine: Engine, cgroups: Path, data: Path) -> None:
    leftovers.clear(data, ["mine.slice"])
    assert sorted(engine.containers) == [
        "another-checkout",
        f"nomad_init_{THEIRS}",
        "same-beginning",
        "without-mounts",
    ]
    left = {str(path.relative_to(cgroups)) for path in cgroups.rglob("*") if path.is_dir()}
    assert not any(OURS in path or "mine.slice" in path for path in left)
    theirs = {path for path in left if THEIRS in path}
    assert len(theirs) == 5
    # The parents too: an agent that is stopped, has another name or is in a container may need them.
    parents = {"freezer/nomad", "memory/nomad", "cpuset/nomad/reserve", "cpuset/nomad/share", "nomad.slice/share.slice"}
    assert parents <= left


def test_containers_of_others_on_the_disk_that_a_link_leads_to_stay(engine: Engine, tmp_path: Path) -> None:
    volumes, disk = tmp_path / "state" / "volumes", tmp_path / "disk"
    (disk / "calvinverse-data").mkdir(parents=True)
    volumes.parent.mkdir()
    volumes.symlink_to(disk)
    engine.containers.clear()
    engine.containers |= {
        "theirs": [f"{disk}/postgres"],
        "theirs-too": [f"{volumes}/builds/x"],
        "ours": [f"{volumes}/calvinverse-data/service"],
        "ours-too": [f"{disk}/calvinverse-data/service"],
    }
    leftovers.clear_volumes(volumes)
    assert sorted(engine.containers) == ["theirs", "theirs-too"]


def test_without_certainty_an_allocations_id_proves_nothing(engine: Engine, cgroups: Path, data: Path) -> None:
    """The folder may be a copy, and the allocation one of the original's that runs."""
    before = {path for path in cgroups.rglob("*") if OURS in path.name}
    leftovers.clear(data, [], certain=False)
    assert "ours" not in engine.containers
    assert f"nomad_init_{OURS}" in engine.containers
    assert {path for path in cgroups.rglob("*") if OURS in path.name} == before


@pytest.mark.parametrize("certain", [True, False])
@pytest.mark.parametrize(("user", "goes"), [("ours", True), ("another-checkout", False)])
def test_what_holds_a_network_is_of_those_who_use_it(
    engine: Engine, cgroups: Path, data: Path, user: str, goes: bool, certain: bool
) -> None:
    engine.networks[user] = f"nomad_init_{OURS}"
    leftovers.clear(data, [], certain=certain)
    assert (f"nomad_init_{OURS}" not in engine.containers) is goes


@pytest.mark.parametrize("alone", [True, False])
def test_of_a_folder_that_was_moved_the_tasks_end_by_their_former_mounts(
    engine: Engine, data: Path, tmp_path: Path, alone: bool
) -> None:
    former = tmp_path / "former"
    engine.containers |= {
        "moved": [f"{former}/alloc/{OURS}/alloc"],
        "somebody-elses": ["/elsewhere/alloc"],
        "of-a-job": [f"{tmp_path}/volumes/builds"],
    }
    leftovers.leave(data, former, tmp_path / "volumes", alone)
    assert ("moved" in engine.containers) is not alone  # its label is of no allocation here
    assert ("of-a-job" in engine.containers) is not alone
    assert "somebody-elses" in engine.containers


def test_what_another_agent_runs_in_the_former_folder_stays(engine: Engine, data: Path, tmp_path: Path) -> None:
    former = tmp_path / "former"
    (former / "alloc" / OURS).mkdir(parents=True)
    engine.labels = {"theirs": OURS, "moved": THEIRS}
    (data / "alloc" / THEIRS).mkdir()
    engine.containers |= {name: [f"{former}/alloc/{id_}/alloc"] for name, id_ in engine.labels.items()}
    leftovers.leave(data, former, tmp_path / "volumes", alone=False)
    assert "theirs" in engine.containers
    assert "moved" not in engine.containers
    assert f"nomad_init_{OURS}" in engine.containers


def test_one_container_that_stays_keeps_no_other_one(engine: Engine, cgroups: Path, data: Path) -> None:
    engine.containers["last"] = [f"{data}/alloc/{OURS}/alloc"]
    engine.refused["ours"] = "device or resource busy"
    with pytest.raises(MachineError, match=r"doesn't remove containers: ours \(device or resource busy\)"):
        leftovers.clear(data, ["mine.slice"])
    assert "last" not in engine.containers
    assert not [path for path in cgroups.rglob("*") if OURS in path.name or path.name == "mine.slice"]


@pytest.mark.parametrize(("helper", "ends"), [("logmon", True), ("somebody-who-reads", False)])
def test_only_helpers_of_the_agent_are_ended(
    data: Path, cgroups: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, helper: str, ends: bool
) -> None:
    """Somebody may read a file below the folder, or stand in it with a shell."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    file = data / "alloc" / OURS / "log"
    file.write_text("")
    # Python takes the second word for its program, and looks for it where it works.
    (tmp_path / helper).write_text("import sys\nsys.stdin.read()\n")
    with (
        file.open() as log,
        subprocess.Popen(
            ["nomad", helper],
            executable=sys.executable,
            pass_fds=[log.fileno()],
            stdin=subprocess.PIPE,
            cwd=tmp_path,
        ) as process,
    ):
        try:
            assert wait_for(lambda: process.pid in processes.holding_files_below(data), 20)
            leftovers.clear(data, [])
            assert processes.is_alive(process.pid) is not ends
        finally:
            process.kill()
            process.wait(timeout=120)


def test_who_reads_an_agents_configuration_is_not_taken_for_the_agent(tmp_path: Path) -> None:
    nomad = LocalAgents(tmp_path / "state", {}).nomad
    assert nomad.configure()
    (tmp_path / "watch").write_text("import sys\nsys.stdin.read()\n")
    command = [sys.executable, str(tmp_path / "watch"), str(nomad.config)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd="/") as reader:
        try:
            assert wait_for(lambda: reader.pid in processes.started_with(str(nomad.config)), 20)
            assert nomad.pid() is None
            nomad.stop()
            assert processes.is_alive(reader.pid)
        finally:
            reader.kill()
            reader.wait(timeout=120)
