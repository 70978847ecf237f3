"""The audit device keeps its name at its path, and gets another one where OpenBao was moved."""

import json
from pathlib import Path
from typing import Any

import pytest

from environments.providers.local_cluster.agents.audit_trail import AuditTrail


def start(folder: Path, *, until_up: bool = True) -> dict[str, Any]:
    """As OpenBao's agent does; gives the device."""
    trail, config = AuditTrail(folder), folder / "config.json"
    trail.prepare(config)
    device = trail.device(config)
    config.write_text(json.dumps({"audit": [device]}))
    if until_up:
        trail.settle()
    return device


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "one" / "state" / "agents" / "openbao"
    folder.mkdir(parents=True)
    return folder


def test_at_one_path_it_never_changes(folder: Path) -> None:
    first = start(folder)
    assert first["path"] == "file/"
    assert start(folder) == first


def test_at_another_path_it_is_another_device_and_nothing_stays_at_the_former_one(folder: Path, tmp_path: Path) -> None:
    first = start(folder)
    (tmp_path / "one").rename(tmp_path / "two")
    moved = tmp_path / "two" / "state" / "agents" / "openbao"
    second = start(moved, until_up=False)
    assert second["path"] != first["path"]
    assert second["options"]["file_path"] == str(moved / "audit.log")
    # What OpenBao opens before it removes the former device is the present file.
    Path(first["options"]["file_path"]).write_text("one line\n")
    assert (moved / "audit.log").read_text() == "one line\n"
    assert start(moved) == second
    assert sorted(path.name for path in tmp_path.iterdir()) == ["two"]
    assert sorted(path.name for path in moved.iterdir()) == ["audit.log", "config.json"]


def test_what_others_have_at_the_former_path_stays(folder: Path, tmp_path: Path) -> None:
    start(folder)
    (tmp_path / "one").rename(tmp_path / "two")
    (tmp_path / "one" / "theirs").mkdir(parents=True)
    start(tmp_path / "two" / "state" / "agents" / "openbao")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["theirs"]
