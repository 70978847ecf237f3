"""Tests of images: they run in a container of the image that is being validated, and only there.

`images.pipeline.validation` starts the container and calls pytest with `--hosts=docker://<container>`. Without a
container `test_every_image.py` does that for each image that is good.
"""

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.backend.base import CommandResult
from testinfra.host import Host

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without a container only the test that starts some is collected: the machine itself isn't an image."""
    if collection_path.parent != HERE or not collection_path.name.startswith("test_"):
        return None
    inside = config.getoption("--hosts", default=None) is not None
    return True if inside == (collection_path.name == "test_every_image.py") else None


@pytest.fixture(scope="module")
def container(host: Host) -> dict[str, Any]:
    """What the engine knows of the container under test."""
    command = ["docker", "container", "inspect", host.backend.name]
    done = subprocess.run(command, check=True, capture_output=True, timeout=120)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


@pytest.fixture(scope="module")
def image(container: dict[str, Any]) -> dict[str, Any]:
    """What the engine knows of the image that the container was made from."""
    command = ["docker", "image", "inspect", container["Image"]]
    done = subprocess.run(command, check=True, capture_output=True, timeout=120)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


@pytest.fixture(scope="module")
def root(host: Host) -> Host:
    """The same container as its root sees it: the image's own user can't look everywhere."""
    return testinfra.get_host(f"docker://0@{host.backend.name}")


@pytest.fixture(scope="module")
def health(host: Host, image: dict[str, Any]) -> Callable[[], CommandResult]:
    """Runs the image's own health check once, where the engine would."""
    kind, *command = image["Config"]["Healthcheck"]["Test"]
    line = command[0] if kind == "CMD-SHELL" else shlex.join(command)
    return lambda: host.run(line)


@pytest.fixture(scope="module")
def image_name() -> str:
    """The name of the image under test, such as `web`."""
    return os.environ["CALVINVERSE_IMAGE"]
