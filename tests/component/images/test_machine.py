"""What `calvinverse doctor` sees, and what it says where things are missing."""

import socket
from collections.abc import Iterator

import pytest

from images import machine
from images.docker_engine import Engine
from images.errors import RightsMissing
from images.machine import Check, Listener, examine, ports
from images.toolchain import NAMES
from tests.support.service_process import free_port


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_every_part_of_the_machine_is_looked_at_and_nothing_is_raised() -> None:
    checks = by_name(examine())
    expected = {
        "python",
        "rights",
        "docker",
        "cgroups",
        "iptables",
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


def test_a_look_that_fails_is_told_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[Check]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(machine, "kernel", broken)
    checks = by_name(examine())
    assert checks["kernel"].verdict == "warn"
    assert "Permission denied" in checks["kernel"].sentence
    assert "disk" in checks


def test_missing_tools_and_a_missing_go_are_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("CALVINVERSE_CACHE", "/nonexistent")
    checks = by_name(list(machine.toolchain()))
    assert checks["nomad"].verdict == "bad"
    assert "Go 1.24.7 or later" in checks["nomad"].hint
    assert checks["go"].verdict == "bad"
    # It comes in a wheel: no Go is needed.
    assert checks["bao"].verdict == "warn"


def test_a_missing_engine_is_bad_unless_we_can_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "ask_engine", lambda: Engine("", "it isn't running"))
    monkeypatch.setattr(machine, "can_install_packages", lambda: False)
    assert next(iter(machine.docker())).verdict == "bad"
    monkeypatch.setattr(machine, "can_install_packages", lambda: True)
    assert next(iter(machine.docker())).verdict == "warn"


def test_a_user_without_rights_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "is_root", lambda: False)
    (check,) = machine.rights()
    assert check.verdict == "warn"
    assert "as root" in check.hint
    with pytest.raises(RightsMissing, match="isn't root"):
        machine.require_client_rights()


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


def test_a_full_disk_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SPACE_NEEDED", 1 << 60)
    checks = list(machine.disk())
    assert any(check.verdict == "warn" and "may be needed" in check.hint for check in checks)
