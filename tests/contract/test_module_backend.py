"""What the step `opentofu.module` relies on in states, keys and run records: the service's, and twins in memory."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from environments.domain.commands import CreateEnvironment
from environments.domain.errors import LeaseLost, StateRefused
from environments.domain.lifecycle import DeploymentKind
from environments.providers.opentofu.keys import VaultModuleKeys
from environments.providers.opentofu.ports import ModuleKeys, RunRecords, StateAccess, StateBackend
from environments.providers.opentofu.served_states import SealedRunRecords, ServedStates
from environments.service.authorization import Principal
from environments.steps.base import Holder, Owner
from tests.fakes.backends.module_states import MemoryModuleKeys, MemoryModuleStates
from tests.fakes.backends.vault import MemorySecrets
from tests.fakes.service import make_service


@dataclass
class Scene:
    """The three ports, and what happens around them."""

    backend: StateBackend
    keys: ModuleKeys
    records: RunRecords
    owner: Owner
    claim: Callable[[str], Holder]
    """Gives the deployment to a worker."""
    write: Callable[[Holder, bytes], bool]
    """What tofu does: opens, locks and writes; whether the state was taken."""


def _memory() -> Scene:
    states, keys = MemoryModuleStates(), MemoryModuleKeys()
    owner = Owner("env-1", "demo")
    place = (owner.id, "app")
    epochs = iter(range(1, 100))

    def claim(worker: str) -> Holder:
        states.holder = Holder("dep-1", worker, next(epochs))
        return states.holder

    def write(holder: Holder, content: bytes) -> bool:
        if holder == states.holder:
            access = states.open(owner, "app", holder)
            who = states.who(access.password, place)
            assert who is not None
            assert states.take_lock(place, who, {"ID": access.password}) is None
            return states.write(place, holder, access.password, content)
        return states.write(place, holder, "", content)

    return Scene(states, keys, states, owner, claim, write)


@pytest.fixture(params=["memory", "service"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    if request.param == "memory":
        yield _memory()
        return
    service = make_service(tmp_path)
    admin = Principal("root", "admin", "tok-root")
    made = service.requests.create(admin, CreateEnvironment(name="demo", template="web")).environment
    owner = Owner(made.id, made.name)
    states = service.module_states
    backend = ServedStates(states, lambda: "http://127.0.0.1:1")
    keys = VaultModuleKeys(MemorySecrets())
    accesses: dict[Holder, StateAccess] = {}

    def claim(worker: str) -> Holder:
        with service.database.write() as tx:
            tx.deployments.release_all()
            found = tx.deployments.claim(worker, 60, list(DeploymentKind), datetime.now(UTC))
        assert found is not None
        holder = Holder(found.deployment.id, worker, found.deployment.epoch)
        accesses[holder] = backend.open(owner, "app", holder)
        return holder

    def write(holder: Holder, content: bytes) -> bool:
        access = accesses[holder]
        caller = states.admit(owner.id, "app", access.username, access.password)
        try:
            states.lock(caller, {"ID": access.password})
            states.write(caller, access.password, content)
        except StateRefused:
            try:
                states.write(caller, access.password, content)
            except StateRefused:
                return False
        return True

    try:
        yield Scene(backend, keys, SealedRunRecords(states, keys), owner, claim, write)
    finally:
        service.database.close()


def state(serial: int, lineage: str = "one") -> bytes:
    return json.dumps({"serial": serial, "lineage": lineage, "encrypted_data": "AA"}).encode()


def test_a_state_is_there_until_its_holder_removes_it(scene: Scene) -> None:
    first = scene.claim("w1")
    assert not scene.backend.exists(scene.owner, "app")
    assert scene.write(first, state(1))
    assert scene.backend.exists(scene.owner, "app")
    assert not scene.backend.exists(scene.owner, "db")
    second = scene.claim("w2")
    with pytest.raises(LeaseLost):
        scene.backend.remove(scene.owner, "app", first)
    assert scene.backend.exists(scene.owner, "app")
    scene.backend.remove(scene.owner, "app", second)
    scene.backend.remove(scene.owner, "app", second)
    assert not scene.backend.exists(scene.owner, "app")


def test_what_came_too_late_is_found_when_it_goes_on_from_the_state(scene: Scene) -> None:
    first = scene.claim("w1")
    assert scene.write(first, state(1))
    second = scene.claim("w2")
    assert scene.backend.aside(scene.owner, "app") is None
    assert not scene.write(first, state(2))
    assert scene.backend.aside(scene.owner, "app") == state(2)
    scene.backend.keep_aside(scene.owner, "app", first, state(3), "the service was away")
    scene.backend.keep_aside(scene.owner, "app", first, state(9, "other"), "the service was away")
    assert scene.backend.aside(scene.owner, "app") == state(3)
    assert scene.write(second, state(4))
    assert scene.backend.aside(scene.owner, "app") is None
    scene.backend.remove(scene.owner, "app", second)
    scene.backend.keep_aside(scene.owner, "app", first, state(1, "late"), "the service was away")
    assert scene.backend.exists(scene.owner, "app")
    assert scene.backend.aside(scene.owner, "app") == state(1, "late")


def test_a_key_is_made_when_it_is_first_asked_for(scene: Scene) -> None:
    assert scene.keys.existing(scene.owner) is None
    key = scene.keys.key(scene.owner)
    assert scene.keys.existing(scene.owner) == key
    assert scene.keys.key(scene.owner) == key


def test_a_run_record_is_replaced_by_the_holder_and_goes_with_the_state(scene: Scene) -> None:
    first = scene.claim("w1")
    assert scene.records.load(scene.owner, "app") is None
    scene.records.save(scene.owner, "app", b"one", first)
    scene.records.save(scene.owner, "app", b"two", first)
    assert scene.records.load(scene.owner, "app") == b"two"
    assert scene.records.load(scene.owner, "db") is None
    second = scene.claim("w2")
    with pytest.raises(LeaseLost):
        scene.records.save(scene.owner, "app", b"late", first)
    assert scene.records.load(scene.owner, "app") == b"two"
    scene.backend.remove(scene.owner, "app", second)
    assert scene.records.load(scene.owner, "app") is None
