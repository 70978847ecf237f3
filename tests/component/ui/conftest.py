"""The web page over a service with environments in every state."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.in_process.client import InProcessClient, shut_down_all
from tests.support.tui_scenes import everything
from tests.support.ui_harness import Reader


@pytest.fixture
def client() -> Iterator[InProcessClient]:
    yield everything()
    shut_down_all()


@pytest.fixture
def reader(client: InProcessClient, tmp_path: Path) -> Iterator[Reader]:
    """An admin who reads pages."""
    made = Reader(client, tmp_path)
    yield made
    made.close()


@pytest.fixture
def stranger(client: InProcessClient, tmp_path: Path) -> Iterator[Reader]:
    """Somebody who isn't signed in."""
    made = Reader(client, tmp_path, token="")
    yield made
    made.close()
