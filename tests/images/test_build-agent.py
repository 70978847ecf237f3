"""What `build-agent` is for: all that the pipeline needs is there, and it says what is amiss."""

# ruff: noqa: N999 - a test file is named after its image
import os
from collections.abc import Callable

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host

PIPELINE = (
    *("cryptography", "cyclonedx", "hvac", "packageurl", "packaging", "pip", "pydantic", "pytest", "requests"),
    *("testinfra", "wheel"),
)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("packer --version", "Packer v1."),
        ("packer-plugin-docker describe", '"version":'),
        ("registry --version", "registry"),
        ("docker --version", "Docker version"),
        ("mmdebstrap --version", "mmdebstrap"),
        ("apt-get --version", "apt "),
        ("fakechroot --version", "fakechroot"),
    ],
)
def test_a_tool_runs(host: Host, command: str, said: str) -> None:
    done = host.run(command)
    assert done.succeeded, done.stderr
    assert said in done.stdout


def test_the_pipeline_finds_its_libraries(host: Host) -> None:
    done = host.run(f"/opt/builder/bin/python -c 'import {', '.join(PIPELINE)}'")
    assert done.succeeded, done.stderr
    assert host.run("/opt/builder/bin/python -m pip check").succeeded
    # As pip calls it for the project's own wheel: in a process of its own.
    backend = host.run("/opt/builder/bin/python -c 'import setuptools.build_meta'")
    assert backend.succeeded, backend.stderr


def test_it_has_the_python_that_chooses_wheels(host: Host) -> None:
    assert host.check_output("/opt/builder/bin/python -c 'import sys; print(sys.version_info[:2])'") == "(3, 11)"


def test_no_engine_came_along(host: Host) -> None:
    assert host.run("command -v dockerd containerd runc").stdout == ""


def test_it_says_what_it_amounts_to_and_what_is_missing(host: Host) -> None:
    done = host.run("build-agent")
    assert done.rc == 2
    first, second = done.stderr.splitlines()
    assert first == (
        "agent: this agent has access to the engine's socket: code that it runs has root's rights on this node"
    )
    assert "NOMAD_META_source" in second


def test_without_an_engine_it_begins_nothing(host: Host) -> None:
    source = f"sha256:{'a' * 64}"
    variables = f"NOMAD_META_source={source} REGISTRY=127.0.0.1:1 BUILDS=/tmp NOMAD_ALLOC_ID=a NOMAD_ALLOC_DIR=/tmp"
    done = host.run(f"env {variables} build-agent")
    assert done.rc == 2
    assert "doesn't answer at its socket" in done.stderr
    assert host.check_output("ls -d /tmp/agent-* 2>/dev/null || true") == ""


def test_its_health_is_that_of_the_engine(health: Callable[[], CommandResult]) -> None:
    told = health()
    assert told.rc == 1
    assert "the engine doesn't answer at its socket" in told.stderr


def test_it_may_change_which_certificates_it_trusts_and_no_more(host: Host) -> None:
    assert host.file("/etc/ssl/certs/ca-certificates.crt").linked_to == "/var/lib/calvinverse/certificates.pem"
    assert host.check_output("stat -c %U /var/lib/calvinverse/certificates.pem") == "calvinverse"
    assert host.run("test -w /etc/ssl/certs").failed
    loads = "import ssl; assert ssl.create_default_context().get_ca_certs()"
    assert host.run(f'python3 -c "{loads}"').succeeded


def test_it_makes_a_root_file_system_without_being_root(host: Host) -> None:
    """As far as that goes without a network: mmdebstrap finds what it needs for its mode."""
    done = host.run("mmdebstrap --simulate --variant=custom --format=null bookworm /dev/null 2>&1 | head -n 20")
    assert "automatically chosen mode: fakechroot" in done.stdout, os.linesep.join(done.stdout.splitlines()[:5])
