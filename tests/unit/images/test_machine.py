"""What `calvinverse doctor` sees, and what it says where things are missing."""

import pytest

from images import machine
from images.docker_engine import Engine
from images.errors import RightsMissing
from tests.support.machine_checks import by_name


def test_missing_tools_are_built_with_the_go_of_a_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("CALVINVERSE_CACHE", "/nonexistent")
    checks = by_name(machine.toolchain())
    assert checks["nomad"].verdict == "bad"
    assert "a C compiler" in checks["nomad"].hint
    assert {checks[name].verdict for name in ("packer", "tofu", "bao")} == {"warn"}
    assert checks["go"].verdict == "ok"
    assert "Go isn't installed; what has to be built is built with Go 1.2" in checks["go"].sentence
    # No deployment needs it.
    assert checks["registry"].verdict == "ok"
    assert "isn't built yet" in checks["registry"].sentence


def test_missing_tools_and_a_missing_go_are_bad_without_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("CALVINVERSE_CACHE", "/nonexistent")
    monkeypatch.setattr("images.toolchain.needs.wheel_builds", lambda wanted: False)
    monkeypatch.setattr("images.machine.wheel_builds", lambda wanted: False)
    checks = by_name(machine.toolchain())
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


def test_a_full_disk_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SPACE_NEEDED", 1 << 60)
    checks = list(machine.disk())
    assert any(check.verdict == "warn" and "may be needed" in check.hint for check in checks)
