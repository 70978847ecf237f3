"""A row that can't be read at all is in nobody else's way."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.errors import StorageError
from environments.domain.lifecycle import DeploymentKind, State
from tests.support.engine_harness import ADMIN, TEMPLATE, EngineHarness


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[EngineHarness]:
    found = EngineHarness(tmp_path)
    found.push(TEMPLATE)
    yield found
    found.stop()


def spoil(setting: EngineHarness, table: str, column: str, where: str) -> None:
    """Writes what is no JSON, as only a fault of a disk or of a person could."""
    with closing(sqlite3.connect(next(setting.folder.glob("*.sqlite")), timeout=30)) as connection, connection:
        done = connection.execute(f"UPDATE {table} SET {column} = '{{not json' WHERE {where}")  # noqa: S608 - our words
        assert done.rowcount == 1


@pytest.mark.parametrize(
    ("table", "where"), [("deployments", "environment_id = 'env-1'"), ("environments", "name = 'spoilt'")]
)
def test_a_deployment_that_cannot_be_read_is_in_nobodys_way(setting: EngineHarness, table: str, where: str) -> None:
    setting.create("spoilt", parameters={"code": "secret"})
    setting.create("next", parameters={"code": "secret"})
    with setting.database.read() as tx:
        spoilt = tx.environments.named("spoilt")
    assert spoilt is not None
    spoil(setting, table, "parameters", where.replace("env-1", spoilt.id))
    setting.worker.start()
    setting.wait_for(State.READY, name="next")
    if table == "deployments":
        failed = setting.wait_for(State.FAILED, name="spoilt")
        assert failed.failure is not None
        assert "can't be read" in failed.failure.message
    with setting.database.read() as tx:
        assert tx.deployments.running() == ()


def test_a_destroy_that_cannot_be_read_is_put_off_and_never_forgotten(setting: EngineHarness) -> None:
    for name in ("spoilt", "next"):
        setting.create(name, parameters={"code": "secret"})
        setting.requests.destroy(ADMIN, name)
    spoilt = setting.environment("spoilt")
    spoil(setting, "deployments", "parameters", f"environment_id = '{spoilt.id}' AND kind = 'destroy'")
    setting.worker.start()
    setting.wait_for(State.DESTROYED, name="next")
    with setting.database.read() as tx:
        (put_off,) = tx.deployments.running()
        assert put_off.environment_id == spoilt.id
        assert put_off.kind is DeploymentKind.DESTROY
    assert setting.environment("spoilt").state is State.DESTROYING


@pytest.mark.parametrize("column", ["parameters", "outputs", "failure", "drift"])
def test_an_environment_that_cannot_be_read_is_in_the_way_of_no_list_and_no_clock(
    setting: EngineHarness, column: str
) -> None:
    for name in ("before", "spoilt", "next"):
        setting.create(name, parameters={"code": "secret"}, ttl="1h")
    spoil(setting, "environments", column, "name = 'spoilt'")
    for _ in range(2):  # also when the others are remembered
        with setting.database.read() as tx:
            found = {environment.name: environment for environment in tx.environments.all()}
        assert set(found) == {"before", "spoilt", "next"}
        failure = found["spoilt"].failure
        assert failure is not None
        assert failure.message == "What is stored of it can't be read."
        assert found["next"].failure is None
        assert found["next"].parameters
    for ask in (
        lambda: setting.requests.retry(ADMIN, "spoilt"),
        lambda: setting.requests.destroy(ADMIN, "spoilt"),
        lambda: setting.requests.extend(ADMIN, "spoilt", by="1h"),
    ):
        with pytest.raises(StorageError, match="can't be read"):
            ask()
    setting.clock.ahead = timedelta(minutes=58)
    setting.scheduler.tick()
    assert setting.environment("next").warned
    setting.clock.ahead = timedelta(hours=2)
    setting.scheduler.tick()
    for name in ("before", "next"):
        assert setting.environment(name).state is State.DESTROYING
    with setting.database.read() as tx:
        [spoilt] = [environment for environment in tx.environments.all() if environment.name == "spoilt"]
    assert spoilt.state is State.REQUESTED
