"""What builders that were killed left is removed by the next build of anything, and nothing else is."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.catalogue.records import Records
from images.docker import Docker
from images.errors import DockerUnavailable
from images.pipeline.builder import Builder
from images.pipeline.orphans import end_orphans
from jobs import tasks

BUILD = "20270301T120000-0123456789ab-c0de"
WAITS = "import time; time.sleep(600)"


class Engine(Docker):
    """An engine that remembers the builds of which something was removed."""

    def __init__(self) -> None:
        self.cleaned: list[str] = []

    def remove_containers(self, build: str) -> None:
        self.cleaned.append(build)

    def remove_untagged_of(self, build: str) -> None:
        pass


@pytest.fixture
def records(tmp_path: Path) -> Records:
    """Records of an image whose recipe is gone, and whose builder was killed."""
    records = Records(tmp_path / "state", "gone")
    work = tmp_path / "elsewhere" / f"calvinverse-{BUILD}"
    work.mkdir(parents=True)
    records.start(BUILD, work)
    return records


def builder(tmp_path: Path, engine: Docker) -> Builder:
    return Builder(tmp_path, tmp_path / "state", engine)


def test_the_next_build_of_anything_cleans_up(tmp_path: Path, records: Records) -> None:
    engine, said = Engine(), list[str]()
    assert builder(tmp_path, engine).build(None, said.append) == []
    assert (engine.cleaned, said) == ([BUILD], [f"gone: removing what the interrupted build {BUILD} left"])
    assert not (tmp_path / "elsewhere" / f"calvinverse-{BUILD}").exists()
    assert records.unfinished() is None


def test_undeploy_cleans_up(tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    removed: list[str] = []
    monkeypatch.setattr(Docker, "remove_containers", lambda docker, build: removed.append(build))
    monkeypatch.setattr(Docker, "remove_untagged_of", lambda docker, build: None)
    monkeypatch.setenv("CALVINVERSE_STATE", str(tmp_path / "state"))
    tasks.undeploy(force=True)
    assert (removed, records.unfinished()) == ([BUILD], None)
    assert not (tmp_path / "elsewhere" / f"calvinverse-{BUILD}").exists()


def test_a_build_that_still_runs_is_left_alone(tmp_path: Path, records: Records) -> None:
    engine = Engine()
    with records.lock():
        builder(tmp_path, engine).clean_up_killed(print)
    assert (engine.cleaned, records.unfinished()) == ([], BUILD)


def test_what_can_not_be_removed_now_stops_no_other_build(tmp_path: Path, records: Records) -> None:
    class Away(Engine):
        def remove_containers(self, build: str) -> None:
            raise DockerUnavailable("No Docker engine answers.")

    said: list[str] = []
    builder(tmp_path, Away()).clean_up_killed(said.append)
    assert said[-1] == "gone: can't clean up now, a later build will: No Docker engine answers."
    assert records.unfinished() == BUILD


@pytest.fixture
def packer(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """What looks like the Packer of a builder, and the lock that both have open; this process is the builder."""
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    command = [sys.executable, "-c", WAITS, "build", "-machine-readable"]
    with subprocess.Popen(command, pass_fds=[descriptor], start_new_session=True) as process:
        yield process, descriptor
        process.kill()


def test_packer_is_ended_when_its_builder_is_gone_and_not_before(
    tmp_path: Path, packer: tuple["subprocess.Popen[bytes]", int]
) -> None:
    process, descriptor = packer
    assert not end_orphans(tmp_path / "lock")
    assert process.poll() is None
    os.close(descriptor)
    assert not end_orphans(tmp_path / "another")
    assert end_orphans(tmp_path / "lock")
    assert process.wait(60) == -9
    assert not end_orphans(tmp_path / "lock")
