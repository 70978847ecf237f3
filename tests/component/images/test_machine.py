"""What `calvinverse doctor` sees, and what it says where things are missing."""

import socket
from collections.abc import Iterator

import pytest

from images import machine
from images.machine import Check, Listener, examine, ports
from images.toolchain import NAMES
from tests.support.machine_checks import by_name
from tests.support.service_process import free_port


def test_every_part_of_the_machine_is_checked_and_nothing_is_raised() -> None:
    checks = by_name(examine())
    expected = {
        "python",
        "rights",
        "docker",
        "cgroups",
        "iptables",
        "networks",
        "kernel",
        "go",
        "disk",
        "port 8400",
        "neighbours",
        *NAMES,
    }
    assert expected <= set(checks)
    for check in checks.values():
        assert check.sentence.endswith("."), check
        assert check.verdict == "ok" or check.hint, check


def test_a_check_that_fails_is_reported_and_the_others_continue(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[Check]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(machine, "kernel", broken)
    checks = by_name(examine())
    assert checks["kernel"].verdict == "warn"
    assert "Permission denied" in checks["kernel"].sentence
    assert "disk" in checks


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (check,) = ports({port: "the test"})
    assert check.verdict == "warn"
    assert f"Port {port}, for the test, is taken" in check.sentence
    (check,) = ports({port: "the test"})
    assert check.verdict == "ok"


def test_the_ports_of_what_is_deployed_are_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as other:
        ours, theirs = server.getsockname()[1], other.getsockname()[1]
        gone = free_port()
        deployed = (
            Listener("Consul", ours, True, f"http://127.0.0.1:{ours}"),
            Listener("OpenBao", theirs, False, f"http://127.0.0.1:{theirs}"),
            Listener("Nomad", gone, False, f"http://127.0.0.1:{gone}"),
            Listener("the provisioning service", None, True, "https://elsewhere:8400"),
        )
        found = list(ports(deployed=deployed))
        alone = list(ports({ours: "Consul", theirs: "Nomad"}, deployed[:1]))
    assert [(check.name, check.verdict) for check in found] == [
        (f"port {ours}", "ok"),
        (f"port {theirs}", "warn"),
        (f"port {gone}", "warn"),
    ]
    assert "is used by Consul of this deployment" in found[0].sentence
    assert "doesn't answer as OpenBao of this deployment" in found[1].sentence
    assert "Nothing listens on port" in found[2].sentence
    assert [check.verdict for check in alone] == ["ok", "warn"], "what isn't deployed needs its usual port"
    assert "`doit deploy --first-port N`" in alone[1].hint
