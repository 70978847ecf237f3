"""Making sure that a Docker engine answers, with scripts in the place of docker, dockerd and apt-get."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from images import docker_engine, system
from images.docker_engine import ask_engine, ensure_engine
from images.errors import DockerUnavailable, PackagesMissing

Put = Callable[[str, str], Path]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Puts a shell script on a PATH that is otherwise empty, on a Debian without systemd where we are root."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("CALVINVERSE_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setattr(docker_engine, "PID_FILE", tmp_path / "docker.pid")
    monkeypatch.setattr(docker_engine, "is_root", lambda: True)
    monkeypatch.setattr(docker_engine, "has_systemd", lambda: False)
    monkeypatch.setattr(docker_engine, "START_LIMIT", 10.0)
    monkeypatch.setattr(system, "is_root", lambda: True)
    monkeypatch.setattr(system, "is_debian", lambda: True)

    def put_script(name: str, text: str) -> Path:
        file = folder / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return file

    return put_script


def docker_that_answers_once(sign: Path) -> str:
    return f"[ -e {sign} ] && echo 27.1 && exit; echo 'Cannot connect. Is the docker daemon running?' >&2; exit 1"


def test_an_engine_that_answers_is_used(put: Put) -> None:
    put("docker", "echo 27.1.2")
    assert ensure_engine(print) == "27.1.2"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'permission denied while trying to connect' >&2; exit 1", "this user may not talk to it"),
        ("echo 'Cannot connect. Is the docker daemon running?' >&2; exit 1", "it isn't running"),
        ("echo 'no such context: lab' >&2; exit 1", "no such context: lab"),
        ("exec /bin/sleep 60", "it doesn't answer within 0.3 s"),
    ],
)
def test_an_engine_that_does_not_answer_says_why(
    put: Put, script: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_engine, "ANSWER_LIMIT", 0.3)
    put("docker", script)
    engine = ask_engine()
    assert not engine.answers
    assert engine.reason == reason


def test_without_root_one_sentence_says_what_to_do(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_engine, "is_root", lambda: False)
    with pytest.raises(DockerUnavailable, match="there is no docker command") as caught:
        ensure_engine(print)
    assert "Install and start Docker" in caught.value.hint
    put("docker", "echo 'permission denied' >&2; exit 1")
    with pytest.raises(DockerUnavailable) as caught:
        ensure_engine(print)
    assert "group `docker`" in caught.value.hint


def test_on_another_system_nothing_is_installed(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "is_debian", lambda: False)
    put("apt-get", "echo should not run; exit 1")
    with pytest.raises(DockerUnavailable) as caught:
        ensure_engine(print)
    assert "Install and start Docker" in caught.value.hint


def test_an_engine_named_by_docker_host_is_not_ours_to_start(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    put("docker", "echo 'Cannot connect. Is the docker daemon running?' >&2; exit 1")
    put("dockerd", "exit 1")
    with pytest.raises(DockerUnavailable, match="DOCKER_HOST"):
        ensure_engine(print)


CONTEXT = 'case "$*" in context*) echo lab; exit ;; esac'
AWAY = "echo 'Cannot connect. Is the docker daemon running?' >&2; exit 1"


def test_an_engine_of_a_context_is_not_ours_to_start(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("docker", f"{CONTEXT}\n{AWAY}")
    put("dockerd", "exit 1")
    with pytest.raises(DockerUnavailable, match="the context lab doesn't answer") as caught:
        ensure_engine(print)
    assert caught.value.hint.endswith("`docker context use default`.")
    put("docker", "echo 'context lab: not found' >&2; exit 1")
    monkeypatch.setenv("DOCKER_CONTEXT", "lab")
    with pytest.raises(DockerUnavailable, match="the context lab doesn't answer") as caught:
        ensure_engine(print)
    assert caught.value.hint.endswith("unset DOCKER_CONTEXT.")


def test_an_engine_that_is_there_and_does_not_answer_is_not_started_again(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_engine, "ANSWER_LIMIT", 0.3)
    put("docker", 'case "$*" in context*) echo default; exit ;; esac; exec /bin/sleep 60')
    put("dockerd", f": >{tmp_path}/started; exit 1")
    with pytest.raises(DockerUnavailable, match=r"doesn't answer within 0\.3 s") as caught:
        ensure_engine(print)
    assert "systemctl restart docker" in caught.value.hint
    assert not (tmp_path / "started").exists()


def test_an_engine_that_runs_without_its_socket_is_named(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_engine, "START_LIMIT", 0.3)
    put("docker", AWAY)
    put("dockerd", f": >{tmp_path}/started; exit 1")
    program = tmp_path / "dockerd"
    shutil.copy("/bin/sleep", program)
    daemon = subprocess.Popen([program, "600"])
    try:
        (tmp_path / "docker.pid").write_text(str(daemon.pid))
        with pytest.raises(DockerUnavailable, match=f"process {daemon.pid}") as caught:
            ensure_engine(print)
        assert f"`kill {daemon.pid}`" in caught.value.hint
        assert not (tmp_path / "started").exists()
    finally:
        daemon.kill()
        daemon.wait()


def test_on_debian_root_gets_an_engine_installed_and_started_that_outlives_us(put: Put, tmp_path: Path) -> None:
    sign = tmp_path / "running"
    packages = tmp_path / "packages"
    put("dpkg-query", "exit 1")
    docker = docker_that_answers_once(sign)
    write = (
        f"printf '#!/bin/sh\\n%s\\n' \"{docker}\" >{tmp_path}/bin/docker\n"
        f"printf '#!/bin/sh\\n: >{sign}; exec /bin/sleep 60\\n' >{tmp_path}/bin/dockerd\n"
        f"/bin/chmod +x {tmp_path}/bin/docker {tmp_path}/bin/dockerd"
    )
    put("apt-get", f'echo "$@" >>{packages}\ncase "$@" in *install*) {write} ;; esac')
    said: list[str] = []
    assert ensure_engine(said.append) == "27.1"
    assert "docker.io iptables ca-certificates" in packages.read_text()
    state = tmp_path / "state" / "docker"
    pid = int((state / "dockerd.pid").read_text())
    try:
        assert os.getsid(pid) == pid
        assert any(str(state / "dockerd.log") in line for line in said)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_with_systemd_the_engine_is_started_by_it(put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_engine, "has_systemd", lambda: True)
    sign = tmp_path / "running"
    put("docker", docker_that_answers_once(sign))
    put("dockerd", "exit 1")
    put("systemctl", f': >"{sign}"')
    assert ensure_engine(print) == "27.1"


def test_an_engine_that_ends_at_once_shows_its_last_lines(put: Put, tmp_path: Path) -> None:
    put("docker", docker_that_answers_once(tmp_path / "never"))
    put("dockerd", "echo 'failed to start: no iptables'; exit 1")
    with pytest.raises(DockerUnavailable) as caught:
        ensure_engine(print)
    assert "failed to start: no iptables" in caught.value.hint


def test_packages_that_cannot_be_installed_are_named_with_why(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("dpkg-query", "exit 1")
    put("apt-get", "echo 'E: Unable to locate package mmdebstrap'; exit 100")
    with pytest.raises(PackagesMissing, match="ended with status 100") as caught:
        system.ensure_debian_packages(["mmdebstrap"], print, why="The base image is made from Debian packages")
    assert "Unable to locate package" in caught.value.hint
    monkeypatch.setattr(system, "is_root", lambda: False)
    with pytest.raises(PackagesMissing, match="mmdebstrap is missing") as caught:
        system.ensure_debian_packages(["mmdebstrap"], print, why="The base image is made from Debian packages")
    assert caught.value.hint == "As root: apt-get install mmdebstrap"


def test_packages_that_are_there_are_left_alone(put: Put) -> None:
    put("dpkg-query", "printf 'install ok installed'")
    system.ensure_debian_packages(["mmdebstrap"], print, why="Nothing")
