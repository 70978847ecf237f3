"""The keys of what OpenTofu's modules keep, in OpenBao, and the run records that are sealed with them."""

import base64
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from environments.domain.commands import CreateEnvironment
from environments.domain.errors import BackendError, ForeignResource, LeaseLost, StorageError
from environments.domain.lifecycle import DeploymentKind
from environments.providers.backend.connections import Connections
from environments.providers.opentofu.keys import ModuleKeyHandler, VaultModuleKeys, module_key_resource
from environments.providers.opentofu.served_states import SealedRunRecords
from environments.providers.vault.client import VaultClient
from environments.providers.vault.secrets_client import Secrets
from environments.service.module_access import StateHolder
from environments.steps.base import Holder, Owner, Presence
from tests.fakes.backends.vault import MemorySecrets
from tests.fakes.service import make_service
from tests.support.step_harness import Run


@pytest.fixture(params=["memory", "real"])
def secrets(request: pytest.FixtureRequest, real: Callable[[], Connections]) -> Secrets | MemorySecrets:
    return MemorySecrets() if request.param == "memory" else VaultClient(real).secrets


@pytest.fixture
def owner(name: str) -> Owner:
    return Owner(f"env-{name}", name)


def test_a_key_is_made_once_and_goes_with_all_its_versions(secrets: Secrets | MemorySecrets, owner: Owner) -> None:
    keys, handler = VaultModuleKeys(secrets), ModuleKeyHandler(secrets)
    intended = module_key_resource(owner)
    assert (intended.ref.kind, intended.shared, intended.rank) == ("vault.module_key", True, 0)
    address = intended.ref.address
    assert keys.existing(owner) is None
    assert handler.observe(address, owner).presence is Presence.ABSENT
    key = keys.key(owner)
    assert len(base64.b64decode(key, validate=True)) == 32
    assert keys.key(owner) == key
    assert VaultModuleKeys(secrets).existing(owner) == key
    assert handler.observe(address, owner).presence is Presence.OURS
    assert handler.observe(address, Owner("env-other", owner.name)).presence is Presence.FOREIGN
    handler.destroy(address, Owner("env-other", owner.name), Run())
    assert keys.existing(owner) == key
    handler.destroy(address, owner, Run())
    handler.destroy(address, owner, Run())
    assert handler.observe(address, owner).presence is Presence.ABSENT
    assert secrets.head(f"modules/{owner.name}") is None
    assert keys.key(owner) != key
    handler.destroy(address, owner, Run())


def test_all_who_ask_at_once_get_the_same_key(secrets: Secrets | MemorySecrets, owner: Owner) -> None:
    barrier = threading.Barrier(8)

    def ask(_: int) -> str:
        keys = VaultModuleKeys(secrets)
        barrier.wait(120)
        return keys.key(owner)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    head = secrets.head(f"modules/{owner.name}")
    assert head is not None
    assert head.version == 1
    secrets.remove(f"modules/{owner.name}")


def test_a_key_that_a_crash_left_half_made_is_made(secrets: Secrets | MemorySecrets, owner: Owner) -> None:
    path = f"modules/{owner.name}"
    keys = VaultModuleKeys(secrets)
    secrets.mark(path, {"calvinverse-environment": owner.id})
    assert keys.existing(owner) is None
    assert keys.key(owner) == keys.key(owner)
    secrets.remove(path)


def test_a_key_of_others_is_not_used_and_a_broken_one_not_replaced(
    secrets: Secrets | MemorySecrets, owner: Owner
) -> None:
    path = f"modules/{owner.name}"
    keys = VaultModuleKeys(secrets)
    secrets.mark(path, {"calvinverse-environment": "env-before"})
    secrets.write(path, {"key": "theirs"}, 0)
    for ask in (keys.key, keys.existing):
        with pytest.raises(ForeignResource):
            ask(owner)
    assert secrets.read(path) == {"key": "theirs"}
    secrets.remove(path)
    keys.key(owner)
    secrets.write(path, {"key": "c2hvcnQ="}, 1)
    for ask in (keys.key, keys.existing):
        with pytest.raises(BackendError, match="was changed"):
            ask(owner)
    assert secrets.read(path) == {"key": "c2hvcnQ="}
    secrets.remove(path)


def test_run_records_are_sealed_for_one_step_and_written_by_who_holds_the_deployment(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    try:
        made = service.requests.create(service.admin, CreateEnvironment(name="demo", template="web")).environment
        owner = Owner(made.id, made.name)
        with service.database.write() as tx:
            claim = tx.deployments.claim("w1", 60, list(DeploymentKind), datetime.now(UTC))
        assert claim is not None
        holder = Holder(claim.deployment.id, "w1", claim.deployment.epoch)
        store = MemorySecrets()
        states, keys = service.module_states, VaultModuleKeys(store)
        records = SealedRunRecords(states, keys)
        assert records.load(owner, "app") is None
        records.save(owner, "app", b"first", holder)
        records.save(owner, "app", b"main.tf hunter2", holder)
        assert records.load(owner, "app") == b"main.tf hunter2"
        sealed = states.run_record(owner.id, "app")
        assert sealed is not None
        assert b"hunter2" not in sealed
        assert records.load(owner, "db") is None
        with pytest.raises(LeaseLost):
            records.save(owner, "app", b"late", Holder(holder.deployment, "w0", 1))
        assert records.load(owner, "app") == b"main.tf hunter2"
        states.save_run_record(
            owner.id, "db", sealed, StateHolder(holder.deployment, holder.worker, holder.epoch)
        )  # that of another step
        with pytest.raises(StorageError, match="another key"):
            records.load(owner, "db")
        states.remove(owner.id, "db", StateHolder(holder.deployment, holder.worker, holder.epoch))
        assert records.load(owner, "db") is None
        ModuleKeyHandler(store).destroy(owner.name, owner, Run())
        assert records.load(owner, "app") is None, "without its key nobody can read it"
        assert keys.existing(owner) is None, "and none is made for that"
    finally:
        service.database.close()
