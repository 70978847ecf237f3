"""States of modules on either database, also when several ask at once."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from environments.domain.commands import CreateEnvironment
from environments.domain.errors import LeaseLost, StateRefused
from environments.domain.lifecycle import DeploymentKind
from environments.service.module_access import StateCaller, StateHolder
from environments.service.module_states import ModuleStates
from tests.support.engine_harness import ADMIN, DATABASES, TEMPLATE, EngineHarness, open_harness


class Scene:
    """An environment and the states of its step `app`."""

    def __init__(self, setting: EngineHarness) -> None:
        self.database = setting.database
        setting.push(TEMPLATE)
        request = CreateEnvironment(name="demo", template="things", parameters={"code": "swordfish"})
        self.id = setting.requests.create(ADMIN, request).environment.id
        self.states = ModuleStates(setting.database, lambda: b"k" * 32, setting.clock)
        self.clock = setting.clock

    def claim(self, worker: str) -> StateHolder:
        with self.database.write() as tx:
            tx.deployments.release_all()
            claim = tx.deployments.claim(worker, 60, list(DeploymentKind), self.clock())
        assert claim is not None
        return StateHolder(claim.deployment.id, worker, claim.deployment.epoch)

    def open(self, holder: StateHolder) -> StateCaller:
        return self.states.admit(self.id, "app", *self.states.open(self.id, "app", holder))


@pytest.fixture(params=DATABASES)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    setting = open_harness(request, tmp_path / "data")
    yield Scene(setting)
    setting.database.close()


def state(serial: int) -> bytes:
    return json.dumps({"serial": serial, "lineage": "one", "encrypted_data": "AA"}).encode()


def test_a_state_is_kept_in_versions_fenced_and_removed(scene: Scene) -> None:
    states = scene.states
    first = scene.claim("w1")
    stale = scene.open(first)
    assert states.lock(stale, {"ID": "a"}) is None
    states.write(stale, "a", state(1))
    states.save_run_record(scene.id, "app", b"\0kit", first)
    second = scene.claim("w2")
    with pytest.raises(StateRefused):
        states.write(stale, "a", state(2))
    caller = scene.open(second)
    assert states.lock(caller, {"ID": "b", "Who": "w2"}) is None
    assert states.lock(caller, {"ID": "c"}) == {"ID": "b", "Who": "w2"}
    assert states.read(caller) == state(1)
    assert states.aside(scene.id, "app") == state(2)
    states.write(caller, "b", state(3))
    states.unlock(caller, {"ID": "b"})
    found = states.versions(scene.id, "app")
    assert [(version.worker, version.epoch, version.refused is None) for version in found] == [
        ("w1", first.epoch, True),
        ("w1", first.epoch, False),
        ("w2", second.epoch, True),
    ]
    assert [version.id for version in found] == sorted({version.id for version in found})
    assert all(version.written_at.tzinfo is not None and version.content == b"" for version in found)
    assert states.run_record(scene.id, "app") == b"\0kit"
    assert not states.exists(scene.id, "db")
    with pytest.raises(LeaseLost):
        states.remove(scene.id, "app", first)
    assert states.exists(scene.id, "app")
    states.remove(scene.id, "app", second)
    assert not states.exists(scene.id, "app")
    assert states.run_record(scene.id, "app") is None
    assert states.read(caller) is None


def test_of_many_runs_at_once_one_gets_the_lock(scene: Scene) -> None:
    caller = scene.open(scene.claim("w1"))
    barrier = threading.Barrier(6)

    def take(number: int) -> bool:
        barrier.wait(120)
        return scene.states.lock(caller, {"ID": f"lock-{number}"}) is None

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(take, range(6))) == 1


def test_a_write_and_a_take_over_come_one_after_the_other(scene: Scene) -> None:
    first = scene.claim("w1")
    stale = scene.open(first)
    scene.states.lock(stale, {"ID": "a"})
    scene.states.write(stale, "a", state(0))
    barrier = threading.Barrier(2)
    written: list[int] = []
    refused: list[int] = []

    def write() -> None:
        barrier.wait(120)
        for serial in range(1, 40):
            try:
                scene.states.write(stale, "a", state(serial))
                written.append(serial)
            except StateRefused:
                refused.append(serial)

    def take_over() -> bytes | None:
        barrier.wait(120)
        caller = scene.open(scene.claim("w2"))
        return scene.states.read(caller)

    with ThreadPoolExecutor(2) as pool:
        writing, taking = pool.submit(write), pool.submit(take_over)
        seen = taking.result(60)
        writing.result(60)
    assert written + refused == list(range(1, 40)), "after the take-over nothing is written any more"
    assert seen == state(written[-1] if written else 0)
    assert scene.states.aside(scene.id, "app") == (state(39) if refused else None)
