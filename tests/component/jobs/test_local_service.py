"""The local service: it ends with the process that started it, and what is left of one keeps nobody from going on."""

import fcntl
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from environments.belongings import claim
from environments.client import Client
from environments.domain.errors import CalvinverseError, Conflict, DatabaseInUse, MachineError
from jobs import undeploy
from jobs.local_service import local_service
from jobs.places import Places
from tests.support.busy import patient

PARENT = """
import sys, time
from pathlib import Path
from jobs.local_service import local_service
from jobs.places import Places
with local_service(Places(Path(sys.argv[1]))):
    print("up", flush=True)
    time.sleep(600)
"""

LEFT = """
import sys, time
from pathlib import Path
from environments.stores.sqlite import open_sqlite
from images.process_records import keep_record
open_sqlite(Path(sys.argv[1]))
if len(sys.argv) > 2:
    keep_record(Path(sys.argv[2]))
print("up", flush=True)
time.sleep(600)
"""


@contextmanager
def running(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A program, once it has said that it is up; killed afterwards."""
    command = [sys.executable, "-c", program, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "up\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def where(tmp_path: Path) -> Places:
    return Places(tmp_path)


def test_it_ends_with_the_process_that_started_it(where: Places) -> None:
    with running(PARENT, str(where.state)) as parent:
        pid = int(where.local_process.read_text().split()[0])
        handle = os.pidfd_open(pid)
        try:
            parent.kill()
            assert select.select([handle], [], [], patient(60.0))[0]
        finally:
            os.close(handle)


def test_one_that_was_left_is_found_by_its_record_and_ended(where: Places) -> None:
    with running(LEFT, str(where.local), str(where.local_process)) as left, local_service(where) as client:
        assert client.environments() == []
        assert left.wait(patient(60.0)) == -15
    assert not where.local_process.exists()


def test_another_process_that_has_its_database_is_named_and_left_alone(where: Places) -> None:
    with running(LEFT, str(where.local)) as other:
        with pytest.raises(DatabaseInUse) as refused, local_service(where):
            pass
        assert f"Process {other.pid} uses the database" in refused.value.message
        assert f"`kill {other.pid}`" in refused.value.hint
        assert other.poll() is None


class TestUndeploy:
    """Without a cluster: the program that removes one finds nothing to do."""

    @pytest.fixture
    def said(self) -> list[str]:
        return []

    @contextmanager
    def failing(self, where: Places) -> Iterator[Client]:
        raise MachineError("It doesn't start.")
        yield

    def test_by_force_it_removes_all_when_the_local_service_does_not_start(
        self, where: Places, said: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(undeploy, "local_service", self.failing)
        claim(where.state)
        where.local.mkdir()
        (where.agents / "nomad").mkdir(parents=True)
        where.connections.write_text(json.dumps({"nomad": {}, "consul": {"address": "https://consul"}, "vault": None}))
        with pytest.raises(MachineError, match=r"It doesn't start\."):
            undeploy.undeploy(where, said.append)
        assert where.local.exists()
        assert undeploy.undeploy(where, said.append, force=True)
        assert said[0] == "The local service can't remove the deployment: It doesn't start."
        assert said[-1] == "What was made in consul, which deploy didn't start, stays there."
        assert [path.name for path in where.state.iterdir()] == ["deploy.lock"]

    @pytest.mark.parametrize("damage", ["{", "[]", "5", '{"consul": 5}'])
    def test_damaged_files_keep_nothing_from_being_removed(
        self, where: Places, said: list[str], monkeypatch: pytest.MonkeyPatch, damage: str
    ) -> None:
        monkeypatch.setattr(undeploy, "local_service", self.failing)
        (where.agents / "consul").mkdir(parents=True)
        where.connections.write_text(damage)
        (where.state / "credentials").mkdir()
        (where.state / "credentials" / "cluster.json").write_text(damage)
        assert undeploy.undeploy(where, said.append, force=True)
        assert [path.name for path in where.state.iterdir()] == ["deploy.lock"], said

    def test_agents_without_the_database_that_records_them_need_force(self, where: Places, said: list[str]) -> None:
        where.agents.mkdir()
        with pytest.raises(CalvinverseError) as refused:
            undeploy.undeploy(where, said.append)
        assert "doit undeploy --force" in refused.value.hint
        assert undeploy.undeploy(where, said.append, force=True)
        assert [path.name for path in where.state.iterdir()] == ["deploy.lock"]
        assert not undeploy.undeploy(where, said.append)

    def test_nothing_is_removed_beside_another_one(self, where: Places, said: list[str]) -> None:
        where.local.mkdir()
        with where.lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with pytest.raises(Conflict):
                undeploy.undeploy(where, said.append, force=True)
        assert where.local.exists()
