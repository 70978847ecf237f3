"""The state folder of a deployment: made if it is missing, refused where it can't be one."""

import errno
import os
import stat
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from doit.exceptions import TaskFailed

from environments.domain.errors import MachineError
from environments.state_place import usable_state_folder
from images import doit_reporter


def _folder(path: Path) -> Path:
    return usable_state_folder({"CALVINVERSE_STATE": str(path)})


def test_it_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    found = _folder(tmp_path / "a" / "state")
    assert found.stat().st_mode & 0o777 == 0o700
    assert _folder(found) == found


def test_a_file_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "state"):
        with pytest.raises(MachineError, match=str(tmp_path / "file")) as refused:
            _folder(path)
        assert "CALVINVERSE_STATE" in refused.value.hint


@pytest.mark.parametrize(("mode", "who"), [(0o777, "Everybody"), (0o703, "Everybody"), (0o775, "A group")])
def test_one_that_others_may_write_to_is_refused(tmp_path: Path, mode: int, who: str) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(MachineError, match=f"^{who} may write") as refused:
        _folder(tmp_path)
    assert f"Close it: `chmod 700 {tmp_path}`." in refused.value.hint
    assert "no effect, as on some network file systems, name another state folder in CALVINVERSE_STATE" in (
        refused.value.hint
    )
    tmp_path.chmod(0o700)  # as the advice says
    assert _folder(tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("user", "sudo", "owner", "trusted"),
    [
        (0, "", 0, True),
        (1000, "", 1000, True),
        (1000, "", 0, True),
        (0, "1000", 1000, True),  # sudo in a checkout of one's own
        (0, "", 1000, False),
        (0, "1001", 1000, False),
        (0, "²", 1000, False),
        (1001, "1000", 1000, False),
    ],
)
def test_one_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, sudo: str, owner: int, trusted: bool
) -> None:
    status = list(tmp_path.stat())
    status[stat.ST_UID] = owner
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(Path, "stat", lambda path, **_: os.stat_result(status))
    environ = {"CALVINVERSE_STATE": str(tmp_path), "SUDO_UID": sudo}
    with nullcontext() if trusted else pytest.raises(MachineError, match=f"is of the user {owner}") as refused:
        usable_state_folder(environ)
    if refused is not None:
        assert f"chown {user} {tmp_path}`" in refused.value.hint
        assert "no effect, as on some network file systems, name another state folder in CALVINVERSE_STATE" in (
            refused.value.hint
        )


def test_a_full_disk_is_told_while_a_failure_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "x"))

    def mistaken(*_: object) -> None:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setenv("CALVINVERSE_STATE", str(tmp_path))
    monkeypatch.setattr(doit_reporter, "import_module", lambda name: _Module)
    _Module.act = staticmethod(full)
    told = doit_reporter.lazy_action("any:act")()
    assert isinstance(told, TaskFailed)
    assert told.message.startswith(f"{tmp_path / 'x'} can't be used: No space left on device.")
    assert "bug" not in told.message
    _Module.act = staticmethod(mistaken)
    told = doit_reporter.lazy_action("any:act")()
    assert isinstance(told, TaskFailed)
    assert "a mistake" in told.message
    assert str(tmp_path / "traceback.txt") in told.message
    monkeypatch.setattr(doit_reporter, "write_private", full)
    told = doit_reporter.lazy_action("any:act")()
    assert isinstance(told, TaskFailed)
    assert "a mistake" in told.message
    assert "No space left" in told.message


class _Module:
    act: Any
