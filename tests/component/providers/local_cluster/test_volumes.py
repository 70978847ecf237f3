"""What a local Nomad offers to jobs: the service's data, a folder for builds, and the engine's socket, if any."""

import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.providers.local_cluster.agents import engine
from environments.providers.local_cluster.agents.local import LocalAgents
from environments.providers.local_cluster.agents.nomad import NomadAgent


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
    builds = str(nomad.site.volumes / "builds")
    assert {name: volume["path"] for name, volume in client["host_volume"].items()} == {
        "calvinverse-data": str(nomad.site.volumes / "calvinverse-data"),
        "calvinverse-postgres": str(nomad.site.volumes / "calvinverse-postgres"),
        "builds": builds,
        "docker-socket": str(listening),
    }
    assert client["meta"] == {
        "calvinverse_builds": builds,
        "calvinverse_docker_gid": str(listening.stat().st_gid),
    }


@pytest.mark.parametrize("host", ["unix:///nowhere/docker.sock", "unix:///dev/null", "tcp://127.0.0.1:2375"])
def test_without_a_socket_there_is_no_such_volume(
    nomad: NomadAgent, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    assert engine.socket() is None
    client = nomad._configuration()["client"]
    assert sorted(client["host_volume"]) == ["builds", "calvinverse-data", "calvinverse-postgres"]
    assert list(client["meta"]) == ["calvinverse_builds"]


def test_a_change_of_the_volumes_is_a_change_of_the_configuration(
    nomad: NomadAgent, listening: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nomad.configure()
    assert not nomad.configure()
    assert stat.S_IMODE(nomad.builds.stat().st_mode) == 0o711
    assert stat.S_IMODE(nomad.site.volumes.stat().st_mode) == 0o700
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert nomad.configure()


def test_jobs_get_docker_alone_without_privileges_and_without_host_paths(nomad: NomadAgent) -> None:
    configuration = nomad._configuration()
    assert configuration["client"]["options"]["driver.allowlist"] == "docker"
    assert list(configuration["plugin"]) == ["docker"]
    docker = configuration["plugin"]["docker"]["config"]
    assert docker["allow_privileged"] is False
    assert docker["volumes"] == {"enabled": False}
    assert set(docker) <= {"allow_privileged", "volumes", "gc", "infra_image", "extra_labels"}
