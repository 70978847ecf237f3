"""What every kind of test may use."""

import gc
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from environments.stores import postgres as stores_postgres
from environments.stores import postgres_calls, sqlite
from tests.support.cluster import Cluster, start_cluster
from tests.support.forge import Forge
from tests.support.gitea import Gitea, gitea
from tests.support.postgres import Postgres
from tests.support.statements import sharing_statements

# Machines are noisy: how long an example takes says nothing about it.
settings.register_profile("calvinverse", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calvinverse")


def pytest_collection_finish() -> None:
    """Leaves what is loaded out of garbage collection: thousands of tests and all modules stay for the whole run."""
    gc.collect()
    gc.freeze()


DATABASE_LIMIT = 120.0
"""Seconds for what the product gives 5 to 20: a busy machine may leave a process standing for as long as that."""


@pytest.fixture(scope="session", autouse=True)
def _patient_databases() -> Iterator[None]:
    """Services in this process wait longer for their database; tests of its limits set their own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("STATEMENT_TIMEOUT", "LOCK_TIMEOUT", "IDLE_TIMEOUT"):
            patch.setattr(postgres_calls, name, DATABASE_LIMIT)
        patch.setattr(postgres_calls, "CONNECT_TIMEOUT", round(DATABASE_LIMIT))
        patch.setattr(postgres_calls, "ANSWER_TIMEOUT", DATABASE_LIMIT)
        patch.setattr(postgres_calls.LimitedConnection, "answer_timeout", DATABASE_LIMIT)
        patch.setattr(stores_postgres, "POOL_TIMEOUT", DATABASE_LIMIT)
        patch.setattr(sqlite, "BUSY_TIMEOUT", DATABASE_LIMIT)
        patch.setattr(sqlite, "SYNCHRONOUS", "OFF")  # a disk that others fill keeps a commit waiting for a minute
        yield


@pytest.fixture(scope="session", autouse=True)
def _shared_statements() -> Iterator[None]:
    """Databases of this process compile each statement once, and not each of them all of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (sqlite, stores_postgres):
            patch.setattr(module, "create_engine", sharing_statements())
        yield


@pytest.fixture(autouse=True)
def _services_in_process() -> Iterator[None]:
    """Ends the services that a test has started in this process."""
    yield
    if (module := sys.modules.get("tests.support.in_process.client")) is not None:
        module.shut_down_all()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One real, secured cluster for all tests that leave it as they found it."""
    cluster = start_cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One real PostgreSQL for all tests that leave it running; each makes databases of its own in it."""
    server = Postgres()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="session")
def forge_server() -> Iterator[Gitea]:
    """One real forge for all tests that leave it running; each makes people and repositories of its own there."""
    with gitea() as server:
        yield server


@pytest.fixture
def forge(forge_server: Gitea) -> Iterator[Forge]:
    """People at the forge."""
    people = Forge(forge_server)
    yield people
    people.close()
