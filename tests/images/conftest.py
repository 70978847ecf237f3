"""Tests of images: they run in a container of the image that is being validated, and only there.

`images.validation` starts the container and calls pytest with `--hosts=docker://<container>`.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without a container to look into there is nothing to test: the machine itself isn't an image."""
    if HERE in collection_path.parents and not config.getoption("--hosts", default=None):
        return True
    return None


@pytest.fixture(scope="module")
def container(host: Host) -> dict[str, Any]:
    """What the engine knows of the container under test."""
    command = ["docker", "container", "inspect", host.backend.name]
    done = subprocess.run(command, check=True, capture_output=True, timeout=30)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


@pytest.fixture(scope="module")
def image(container: dict[str, Any]) -> dict[str, Any]:
    """What the engine knows of the image that the container was made from."""
    command = ["docker", "image", "inspect", container["Image"]]
    done = subprocess.run(command, check=True, capture_output=True, timeout=30)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


@pytest.fixture(scope="module")
def image_name() -> str:
    """The name of the image under test, such as `web`."""
    return os.environ["CALVINVERSE_IMAGE"]
