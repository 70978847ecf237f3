"""The same contract for the real adapters and for their twins in memory."""

import os
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from environments.providers.backend.connections import Connections


@pytest.fixture(scope="session")
def connections(request: pytest.FixtureRequest) -> Connections:
    """A real cluster: that of CALVINVERSE_TEST_CONNECTIONS (a connections file) if it is set, else one of our own."""
    running = os.environ.get("CALVINVERSE_TEST_CONNECTIONS")
    if running:
        return Connections.load(Path(running))
    found: Connections = request.getfixturevalue("cluster").connections
    return found


@pytest.fixture
def real(request: pytest.FixtureRequest) -> Callable[[], Connections]:
    """The cluster's connections, asked for only by those who use them."""
    return lambda: request.getfixturevalue("connections")


@pytest.fixture
def name() -> str:
    """A name of an environment that no other test has."""
    return f"t{uuid4().hex[:10]}"
