"""A service on the real cluster, and a census taker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import images_here
from tests.support.cluster import Cluster
from tests.support.cluster_snapshot import Taker
from tests.support.image_checkout import image_checkout
from tests.support.service_process import ServiceProcess

__all__ = ["image_checkout"]


@pytest.fixture
def service(cluster: Cluster, tmp_path: Path) -> Iterator[ServiceProcess]:
    """A service of its own for each test."""
    service = ServiceProcess(tmp_path / "state", cluster.agents.site.connections_file)
    service.start()
    images_here.publish(service.client, "web")
    yield service
    service.stop()


@pytest.fixture
def taker(cluster: Cluster) -> Iterator[Taker]:
    """Counts what exists on the cluster."""
    taker = Taker(cluster.connections, cluster.state)
    yield taker
    taker.close()
