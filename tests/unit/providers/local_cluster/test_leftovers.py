"""What is cleared away after an agent is what its own data folder proves to be its own; what others have stays."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from environments.providers.local_cluster.agents import leftovers
from environments.providers.local_cluster.agents.local import LocalAgents
from environments.providers.local_cluster.agents.nomad import NomadAgent
from environments.providers.local_cluster.trust.nomad import leaves_others_alone

OURS, THEIRS = "0aa1b2c3-0000-4000-8000-000000000001", "0aa1b2c3-0000-4000-8000-000000000002"


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


def test_without_an_engine_the_rest_is_cleared(cgroups: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    leftovers.clear(data, [])
    assert not any(OURS in str(path) for path in cgroups.rglob("*"))


def test_our_nomad_removes_no_container_that_it_does_not_know(tmp_path: Path) -> None:
    """In what it runs with, as it stands in the file; `gc` of its own containers stays."""
    nomad = LocalAgents(tmp_path / "state", {}).nomad
    assert nomad.configure()
    plugin = json.loads(nomad.config.read_text())["plugin"]["docker"]["config"]
    assert plugin["gc"]["dangling_containers"] == {"enabled": False}
    assert plugin["gc"]["container"] is True


GC = {"dangling_containers": {"enabled": False}}


@pytest.mark.parametrize(
    ("client", "plugins", "alone"),
    [
        (True, [{"Name": "docker", "Config": {"gc": GC}}], True),
        (True, [{"Name": "docker", "Config": {"gc": [{"dangling_containers": [{"enabled": False}]}]}}], True),
        (True, [{"Name": "raw_exec", "Config": None}, {"Name": "docker", "Config": {"gc": GC}}], True),
        (True, [{"Name": "docker", "Config": {"gc": {"image": False}}}], False),
        (True, [{"Name": "docker", "Config": {"gc": [{"dangling_containers": [{"period": "1h"}]}]}}], False),
        (True, [{"Name": "docker", "Config": {"gc": {"dangling_containers": {"enabled": True}}}}], False),
        (True, [{"Name": "docker", "Config": None}], False),
        (True, [], False),
        (True, None, False),
        (False, None, True),
    ],
)
def test_a_nomad_of_others_is_known_by_its_configuration(
    client: bool, plugins: list[dict[str, Any]] | None, alone: bool
) -> None:
    assert leaves_others_alone({"Client": {"Enabled": client}, "Plugins": plugins}) is alone


def test_every_nomad_that_we_configure_has_that_from_one_place() -> None:
    """A second place that writes the configuration of an agent would have to be held to the same."""
    root = Path(__file__).parents[4]
    folders = ("environments", "images", "jobs")
    places = [
        str(path.relative_to(root))
        for folder in folders
        for path in (root / folder).rglob("*")
        if path.suffix in (".py", ".hcl", ".json", ".toml")
        and any(word in path.read_text() for word in ("allow_privileged", "alloc_mounts_dir"))
    ]
    assert places == [os.path.relpath(sys.modules[NomadAgent.__module__].__file__ or "", root)]
