"""The audit device names its file from where OpenBao works; where older versions gave the whole path, it is left."""

import json
from pathlib import Path

import pytest

from environments.domain.errors import MachineError
from environments.providers.local_cluster.agents.audit_trail import AuditTrail
from environments.providers.local_cluster.agents.local import LocalAgents


def start(folder: Path, *, until_up: bool = True) -> None:
    """As OpenBao's agent does."""
    trail, config = AuditTrail(folder), folder / "config.json"
    trail.prepare(config)
    config.write_text(json.dumps({"audit": [trail.device()]}))
    if until_up:
        trail.settle()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of an OpenBao that an older version configured."""
    folder = tmp_path / "one" / "state" / "agents" / "openbao"
    folder.mkdir(parents=True)
    device = {"path": "file/", "options": {"file_path": str(folder / "audit.log")}}
    (folder / "config.json").write_text(json.dumps({"audit": [device]}))
    return folder


def test_the_device_is_the_same_wherever_the_checkout_is(tmp_path: Path) -> None:
    """OpenBao lets nobody change its path, and writes to it from the first moment."""
    here, there = (LocalAgents(tmp_path / name, {}).openbao for name in ("here", "50% there"))
    device = here._configuration()["audit"][0]
    assert device == there._configuration()["audit"][0]
    assert not Path(device["options"]["file_path"]).is_absolute()
    for agent in (here, there):
        assert agent.program().folder == agent.folder


def test_where_nothing_moved_nothing_is_made(folder: Path, tmp_path: Path) -> None:
    start(folder, until_up=False)
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    (tmp_path / "one").rename(tmp_path / "two")
    start(tmp_path / "two" / "state" / "agents" / "openbao", until_up=False)
    assert [path.name for path in tmp_path.iterdir()] == ["two"]


def test_a_former_path_leads_to_the_present_file_until_the_device_is_gone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "one").rename(tmp_path / "two")
    moved = tmp_path / "two" / "state" / "agents" / "openbao"
    AuditTrail(moved).prepare(moved / "config.json")  # and this process is killed
    start(moved, until_up=False)
    # What OpenBao opens before it removes the former device is the present file.
    (folder / "audit.log").write_text("one line\n")
    assert (moved / "audit.log").read_text() == "one line\n"
    start(moved)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["two"]
    assert sorted(path.name for path in moved.iterdir()) == ["audit.log", "config.json"]


def test_what_others_have_at_the_former_path_stays(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "one").rename(tmp_path / "two")
    (tmp_path / "one" / "theirs").mkdir(parents=True)
    start(tmp_path / "two" / "state" / "agents" / "openbao")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["theirs"]


@pytest.mark.parametrize("place", ["agents/openbao", "agents/openbao/audit.log"])
def test_a_link_of_somebody_at_the_former_path_is_not_written_through(folder: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "one").rename(tmp_path / "two")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "audit.log").write_text("theirs")
    link = tmp_path / "one" / "state" / place
    link.parent.mkdir(parents=True)
    link.symlink_to(theirs / "audit.log" if link.name == "audit.log" else theirs)
    moved = tmp_path / "two" / "state" / "agents" / "openbao"
    with pytest.raises(MachineError, match="which is another's file") as refused:
        start(moved)
    assert refused.value.hint.startswith(f"Move {folder} away")
    (tmp_path / "one").rename(tmp_path / "away")
    start(moved)
