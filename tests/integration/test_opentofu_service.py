"""Real tofu with its state in a real service: encrypted, fenced, taken up after a take-over, gone with the module."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from environments.domain.errors import BackendUnavailable, LeaseLost
from environments.domain.lifecycle import DeploymentKind
from environments.providers.opentofu.module import OpenTofuModule
from environments.providers.opentofu.removal import ModuleStateHandler
from environments.providers.opentofu.served_states import SealedRunRecords, ServedStates
from environments.steps.base import Holder, Owner, Presence
from environments.wire.environments import CreateRequest
from tests.fakes.backends.module_states import MemoryModuleKeys
from tests.fakes.counting_server import CountingServer
from tests.fakes.service import Served, served
from tests.support.opentofu_harness import PASSPHRASE, STEP, StoppableRun, context, thing, tofu_at, wait_until


@dataclass
class Scene:
    """An environment of a real service, and the step kind on it."""

    api: Served
    owner: Owner
    executor: OpenTofuModule
    things: CountingServer

    def claim(self, worker: str) -> StoppableRun:
        """A run of the worker that takes the deployment over from whoever has it."""
        with self.api.service.database.write() as tx:
            tx.deployments.release_all()
            claim = tx.deployments.claim(worker, 60, list(DeploymentKind), datetime.now(UTC))
        assert claim is not None
        return StoppableRun(holder=Holder(claim.deployment.id, worker, claim.deployment.epoch))

    def apply(self, names: list[str], run: StoppableRun) -> dict[str, Any]:
        """Applies the module."""
        return self.executor.apply(context(self.things.address, names, owner=self.owner), run)

    def refusals(self) -> list[str]:
        """Why versions of the state were refused."""
        found = self.api.service.module_states.versions(self.owner.id, STEP)
        return [version.refused for version in found if version.refused]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with served(tmp_path / "service") as api, CountingServer() as things:
        with api.client() as client:
            environment = client.create(CreateRequest(name="demo", template="web")).environment
        keys, states = MemoryModuleKeys(), api.service.module_states
        backend = ServedStates(states, lambda: api.address)
        executor = OpenTofuModule(tofu_at(tmp_path), backend, keys, SealedRunRecords(states, keys))
        yield Scene(api, Owner(environment.id, environment.name), executor, things)
        things.release()


def test_a_module_lives_with_a_real_service(scene: Scene, tmp_path: Path) -> None:
    run = scene.claim("worker-1")
    assert scene.apply(["a", "b"], run) == {"ids": ["a", "b"]}
    assert scene.executor.plan(context(scene.things.address, ["a", "b"], owner=scene.owner), run) == []
    assert scene.refusals() == []
    handler = ModuleStateHandler(scene.executor.modules)
    assert handler.observe("demo/things", scene.owner).detail == "3 resources"
    for file in (tmp_path / "service").rglob("*"):
        if file.is_file():
            assert PASSPHRASE.encode() not in file.read_bytes()
    handler.destroy("demo/things", scene.owner, run)
    assert handler.observe("demo/things", scene.owner).presence is Presence.ABSENT
    assert scene.things.objects() == {}
    assert scene.api.service.module_states.run_record(scene.owner.id, STEP) is None


def test_a_stale_workers_state_is_kept_aside_and_taken_up_by_its_successor(scene: Scene) -> None:
    first = scene.claim("worker-1")
    scene.things.hold("a")
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(scene.apply, ["a"], first)
        scene.things.wait_until_asked("POST", "a")
        second = scene.claim("worker-2")
        first.reason = LeaseLost("Another worker has taken over this deployment.")
        wait_until(lambda: any("asked to stop" in line for line in first.lines), "tofu is told")
        scene.things.release()
        with pytest.raises(LeaseLost):
            applied.result()
    assert scene.refusals()
    assert scene.apply(["a"], second) == {"ids": ["a"]}
    assert "saved the state that an earlier run could not save" in second.lines
    assert scene.things.asked["POST", "a"] == 1


def test_a_killed_tofus_lock_does_not_hinder_the_next_try(scene: Scene) -> None:
    run = scene.claim("worker-1")
    scene.things.hold("a")
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(scene.apply, ["a"], run)
        scene.things.wait_until_asked("POST", "a")
        run.reason = LeaseLost("Another worker has taken over this deployment.")
        with pytest.raises(LeaseLost):
            applied.result()
    run.reason = None
    scene.things.release()
    assert scene.apply(["a"], run) == {"ids": ["a"]}
    assert scene.things.created == {"a": 1}
    handler = ModuleStateHandler(scene.executor.modules)
    assert thing("a") in scene.executor.modules.observe(scene.owner, STEP).recorded
    scene.things.hold("a")
    with ThreadPoolExecutor(1) as pool:
        destroyed = pool.submit(handler.destroy, "demo/things", scene.owner, run)
        scene.things.wait_until_asked("DELETE", "a")
        run.reason = LeaseLost("Another worker has taken over this deployment.")
        with pytest.raises((LeaseLost, BackendUnavailable)):
            destroyed.result()
    run.reason = None
    scene.things.release()
    handler.destroy("demo/things", scene.owner, run)
    assert scene.things.objects() == {}
