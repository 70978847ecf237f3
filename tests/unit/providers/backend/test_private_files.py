"""Folders that only their owner may read, and how they go."""

import errno
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from environments.domain.errors import MachineError
from environments.private_files import remove_folder, write_if_changed, write_private


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a file in a folder."""
    folder = tmp_path / "agents"
    (folder / "consul").mkdir(parents=True)
    (folder / "consul" / "log").write_text("")
    return folder


def test_a_file_that_goes_away_meanwhile_is_no_failure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = os.unlink, 0

    def unlink(path: Any, **more: Any) -> None:
        nonlocal asked
        asked += 1
        real(path, **more)
        if asked == 1:
            raise FileNotFoundError(path)  # as if its owner had been quicker

    monkeypatch.setattr(os, "unlink", unlink)
    remove_folder(folder)
    assert asked == 1
    assert not folder.exists()
    remove_folder(folder)


def test_what_can_not_be_removed_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(PermissionError):
        remove_folder(folder)


def test_a_file_is_replaced_as_a_whole_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "state" / "token"
    write_private(file, "one\n")
    assert write_if_changed(file, "two\n")
    assert not write_if_changed(file, "two\n")
    assert file.read_text() == "two\n"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, file.parent)] == [0o600, 0o700]
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_can_not_be_written_is_named_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(MachineError, match=f"{tmp_path}/token can't be written: Permission denied"):
        write_private(tmp_path / "token", "one\n")
    assert list(tmp_path.iterdir()) == []
