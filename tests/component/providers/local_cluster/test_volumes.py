"""What a local Nomad offers to jobs: the service's data, a folder for builds, and the engine's socket, if any."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.providers.local_cluster.agents.local import LocalAgents
from environments.providers.local_cluster.agents.nomad import NomadAgent
from environments.providers.local_cluster.agents.site import EDGE_OWNER, VOLUME_OWNER


@pytest.fixture
def nomad(tmp_path: Path) -> NomadAgent:
    return LocalAgents(tmp_path / "state", {}).nomad


@pytest.fixture
def listening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A socket, named by DOCKER_HOST through a link."""
    path = tmp_path / "engine.sock"
    (tmp_path / "link.sock").symlink_to(path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'link.sock'}")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        yield path


def test_the_engines_socket_is_offered_with_its_group(nomad: NomadAgent, listening: Path) -> None:
    client = nomad._configuration()["client"]
    builds = str(nomad.site.volumes / "calvinverse-builds")
    assert {name: volume["path"] for name, volume in client["host_volume"].items()} == {
        "calvinverse-data": str(nomad.site.volumes / "calvinverse-data"),
        "calvinverse-edge": str(nomad.site.volumes / "calvinverse-edge"),
        "calvinverse-postgres": str(nomad.site.volumes / "calvinverse-postgres"),
        "builds": builds,
        "docker-socket": str(listening),
    }
    assert client["meta"] == {
        "calvinverse_builds": builds,
        "calvinverse_docker_gid": str(listening.stat().st_gid),
    }


def test_a_change_of_the_volumes_is_a_change_of_the_configuration(
    nomad: NomadAgent, listening: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nomad.configure()
    assert not nomad.configure()
    assert stat.S_IMODE(nomad.builds.stat().st_mode) == 0o711
    assert stat.S_IMODE(nomad.site.volumes.stat().st_mode) == 0o700
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert nomad.configure()


def test_the_edges_volume_is_the_edges_own(nomad: NomadAgent) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to give folders to others")
    nomad.configure()
    edge, data = nomad.site.volumes / "calvinverse-edge", nomad.site.volumes / "calvinverse-data"
    assert (edge.stat().st_uid, edge.stat().st_gid) == (EDGE_OWNER, EDGE_OWNER)
    assert data.stat().st_uid == VOLUME_OWNER != EDGE_OWNER
    # What an earlier version left belonged to the user of all parts. A link leads nowhere.
    (kept := edge / "key.pem").touch(mode=0o600)
    (edge / "link").symlink_to(nomad.config)
    for path in (edge, kept):
        os.chown(path, VOLUME_OWNER, VOLUME_OWNER)
    nomad.configure()
    assert (kept.stat().st_uid, kept.lstat().st_gid) == (EDGE_OWNER, EDGE_OWNER)
    assert nomad.config.stat().st_uid == 0
