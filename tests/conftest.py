"""What every kind of test may use."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.cluster import Cluster, start_cluster
from tests.support.postgres import Postgres

# Machines are noisy: how long an example takes says nothing about it.
settings.register_profile("calvinverse", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calvinverse")


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
