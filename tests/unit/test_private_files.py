"""Folders that only their owner may read, and how they go."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from environments.providers.backend.private_files import remove_folder


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
