"""What a local Nomad offers to jobs: the service's data, a folder for builds, and the engine's socket, if any."""

from pathlib import Path

import pytest

from environments.providers.local_cluster.agents import engine
from environments.providers.local_cluster.agents.local import LocalAgents
from environments.providers.local_cluster.agents.nomad import NomadAgent


@pytest.fixture
def nomad(tmp_path: Path) -> NomadAgent:
    return LocalAgents(tmp_path / "state", {}).nomad


@pytest.mark.parametrize("host", ["unix:///nowhere/docker.sock", "unix:///dev/null", "tcp://127.0.0.1:2375"])
def test_without_a_socket_there_is_no_such_volume(
    nomad: NomadAgent, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    assert engine.socket() is None
    client = nomad._configuration()["client"]
    assert sorted(client["host_volume"]) == [
        "builds",
        "calvinverse-data",
        "calvinverse-edge",
        "calvinverse-postgres",
    ]
    assert list(client["meta"]) == ["calvinverse_builds"]


def test_no_job_gets_a_port_of_a_part(nomad: NomadAgent) -> None:
    reserved = nomad._configuration()["client"]["reserved"]["reserved_ports"]
    assert reserved == "53,4646,4647,4648,8200,8201,8300,8301,8500"


def test_jobs_get_docker_alone_without_privileges_and_without_host_paths(nomad: NomadAgent) -> None:
    configuration = nomad._configuration()
    assert configuration["client"]["options"]["driver.allowlist"] == "docker"
    assert list(configuration["plugin"]) == ["docker"]
    docker = configuration["plugin"]["docker"]["config"]
    assert docker["allow_privileged"] is False
    assert docker["volumes"] == {"enabled": False}
    assert set(docker) <= {"allow_privileged", "volumes", "gc", "infra_image", "extra_labels"}


def test_no_agent_is_another_program_for_who_does_not_know_the_image_of_networks(tmp_path: Path) -> None:
    """The supervisor stops a program whose command changes."""
    before = LocalAgents(tmp_path / "state", {}, None, "sha256:" + "0" * 64)
    after = LocalAgents(tmp_path / "state", {})
    assert {agent.name: agent.program() for agent in before.all()} == {
        agent.name: agent.program() for agent in after.all()
    }
