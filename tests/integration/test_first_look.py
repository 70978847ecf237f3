"""The first lines of the tutorial: the service in a container without a cluster, command by command."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from environments.providers.local_cluster.agents.agent import agents_environment
from tests.support import images_here
from tests.support.page_commands import Reader, blocks

SECTION = "A first look without a cluster"
REFUSED = "There is no connection to Consul."


@pytest.fixture
def name() -> Iterator[str]:
    """Of the container, in place of the page's; gone afterwards."""
    name = f"calvinverse-look-{uuid4().hex[:8]}"
    yield name
    subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, timeout=120, check=False)


def test_a_newcomer_sees_templates_and_is_told_that_environments_need_a_cluster(name: str, tmp_path: Path) -> None:
    (block,) = blocks("tutorial.md")[SECTION]
    image = images_here.reference("provisioning")
    commands = block.replace("--name calvinverse ", f"--name {name} ").replace("calvinverse/provisioning:qa", image)
    commands = commands.replace("exec calvinverse ", f"exec {name} ").replace(
        "--volumes calvinverse", f"--volumes {name}"
    )
    *lines, removal = commands.splitlines()
    reader = Reader(tmp_path / "work", agents_environment(tmp_path))
    said = reader.run("\n".join(lines))
    assert "A small HTTPS service with its own configuration, secret and certificate" in said
    assert "The template 'site' is valid." in said

    refused = reader.run(f"docker exec {name} calvinverse env create demo --template site || true")
    assert REFUSED in refused
    assert REFUSED in (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
    token = reader.run(f"docker exec {name} cat /var/lib/calvinverse/service/token").strip()
    assert token.startswith("cv_")
    assert token not in reader.run(f"docker logs {name}")

    reader.run(removal)
    assert name not in reader.run("docker ps --all --format '{{.Names}}'")
