"""Folders of a state folder that are links, or other disks: what others have there is neither used nor removed."""

import json
import shutil
from pathlib import Path

import pytest

from environments import shared_places
from environments.belongings import claim, free_locks, is_marked, refuse_others, remove_own
from environments.domain.errors import MachineError
from environments.providers.local_cluster.agents.clean_up import clean_up
from environments.providers.local_cluster.agents.supervisor import Supervisor
from environments.shared_places import is_claimed, renew_claims, used_by_jobs

FOLDERS = ("local", "agents", "volumes", "credentials")
GENERIC = ("nomad/data/x", "logs/x", "builds/x", "lock", "ca.pem", "x.lock/y")
"""Names that we give, and anybody."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A marked state folder, from which something was deployed."""
    folder = tmp_path / "state"
    folder.mkdir()
    claim(folder)
    (folder / "local").mkdir()
    return folder


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    disk = tmp_path / "disk"
    disk.mkdir()
    return disk


def _put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("theirs")


def _lead(state: Path, name: str, disk: Path) -> None:
    (state / name).rmdir() if (state / name).exists() else None
    (state / name).symlink_to(disk)


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", FOLDERS)
def test_what_others_have_where_a_link_leads_stays(state: Path, disk: Path, name: str) -> None:
    _lead(state, name, disk)
    _put(disk, *GENERIC)
    free_locks(state)
    assert len(remove_own(state, name)) > 1
    assert _files(disk) == set(GENERIC)
    assert not (state / name).is_symlink()


@pytest.mark.parametrize("name", FOLDERS)
def test_nothing_is_deployed_where_others_have_things(state: Path, disk: Path, name: str) -> None:
    _lead(state, name, disk)
    _put(disk, *GENERIC)
    if name == "volumes":  # each volume has a name of its own
        claim(state)
        assert used_by_jobs(state / name) == []
    else:
        with pytest.raises(MachineError, match=f"{name} can't be used") as refused:
            claim(state)
        assert "a folder that is empty" in refused.value.hint
    fresh = state.parent / "fresh"
    fresh.mkdir()
    (fresh / name).symlink_to(disk)
    if name == "volumes":
        (disk / shared_places.OWNER_FILE).unlink()
        claim(fresh)
        assert is_marked(fresh)
    else:
        with pytest.raises(MachineError):
            claim(fresh)
        assert not (fresh / "deploy.lock").exists()


@pytest.mark.parametrize("name", FOLDERS)
def test_in_an_empty_folder_all_with_our_names_is_ours(state: Path, disk: Path, name: str) -> None:
    _lead(state, name, disk)
    claim(state)
    assert is_claimed(state, name)
    _put(disk, "calvinverse-data/x", "nomad/x", "lock", "thesis")
    removed = {"local": {"lock"}, "agents": {"nomad/x"}, "volumes": {"calvinverse-data/x"}, "credentials": {"lock"}}
    before = _files(disk) - {shared_places.OWNER_FILE}
    claim(state)
    remove_own(state, name)
    assert _files(disk) == before - removed[name]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_place_of_another_deployment_is_let_be(state: Path, disk: Path, name: str) -> None:
    _lead(state, name, disk)
    claim(state)
    _put(disk, "calvinverse-data/x", "calvinverse.sqlite", "nomad/x", "lock", "cluster.json")
    second = state.parent / "second"
    second.mkdir()
    (second / name).symlink_to(disk)
    with pytest.raises(MachineError, match=f"where the deployment in {state} has its own"):
        claim(second)
    before = _files(disk)
    assert not is_claimed(second, name)
    assert used_by_jobs(second / name) == []
    remove_own(second, name)
    assert _files(disk) == before
    assert is_claimed(state, name)


def test_a_place_moves_with_its_state_folder_and_not_with_a_copy(state: Path, disk: Path) -> None:
    _lead(state, "agents", disk)
    claim(state)
    _put(disk, "nomad/x")
    copy = state.parent / "copy"
    copy.mkdir()
    (copy / "agents").symlink_to(disk)
    moved = state.rename(state.parent / "moved")
    assert is_claimed(moved, "agents")
    assert not is_claimed(copy, "agents")
    claim(moved)
    with pytest.raises(MachineError, match="where the deployment in"):
        claim(copy)


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("name", FOLDERS)
def test_a_fresh_disk_is_empty(
    tmp_path: Path, disk: Path, name: str, linked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    place = disk if linked else state / name
    if linked:
        (state / name).symlink_to(disk)
    _put(place, "lost+found/x")
    if name != "volumes":
        with pytest.raises(MachineError, match="lost"):  # of others, where no file system made it
            claim(state)
    monkeypatch.setattr(shared_places, "mount_points", lambda: [place])
    claim(state)
    assert is_claimed(state, name)
    assert remove_own(state, name) == []
    assert _files(place) == {"lost+found/x"}


def test_a_fresh_disk_can_be_the_state_folder(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _put(disk, "lost+found/x")
    monkeypatch.setattr(shared_places, "mount_points", lambda: [disk])
    claim(disk)
    assert is_marked(disk)


def _has_cluster(state: Path, cluster: str) -> None:
    (state / "credentials").mkdir(parents=True, exist_ok=True)
    (state / "credentials" / "cluster.json").write_text(json.dumps({"cluster": cluster}))
    renew_claims(state)


@pytest.mark.parametrize("name", ["local", "agents", "volumes"])
def test_a_place_of_a_deployment_that_was_moved_is_let_be(state: Path, disk: Path, name: str) -> None:
    """Another one may be at its former path, which the record names."""
    _lead(state, name, disk)
    claim(state)
    _has_cluster(state, "1a2b")
    _put(disk, "calvinverse-data/x", "calvinverse.sqlite", "nomad/x", "lock")
    before = _files(disk)
    moved = state.rename(state.parent / "moved")
    for folder, cluster in (("second", ""), ("third", "3c4d"), ("state", "5e6f")):
        other = state.parent / folder
        other.mkdir()
        (other / name).symlink_to(disk)
        if cluster:
            _has_cluster(other, cluster)
        with pytest.raises(MachineError, match=f"where the deployment in {state} has its own") as refused:
            claim(other)
        assert not is_marked(other)
        remove_own(other, name)
        assert _files(disk) == before
    claim(moved)
    assert is_claimed(moved, name)
    # As the advice says, for one that is gone for good.
    assert f"move what it left away, {shared_places.OWNER_FILE} too" in refused.value.hint
    shutil.rmtree(disk)
    disk.mkdir()
    (other / name).symlink_to(disk)
    claim(other)


@pytest.mark.parametrize("name", ["local", "agents", "volumes"])
def test_a_place_stays_ours_on_another_disk(state: Path, disk: Path, name: str) -> None:
    """Then the path differs, and the number of the folder."""
    _lead(state, name, disk)
    claim(state)
    _has_cluster(state, "1a2b")
    _put(disk, "calvinverse-data/x", "calvinverse.sqlite", "nomad/x")
    moved = Path(shutil.copytree(state, state.parent / "moved", symlinks=True))
    shutil.rmtree(state)
    assert is_claimed(moved, name)
    renew_claims(moved)
    (moved / "credentials" / "cluster.json").unlink()  # as undeploy does before the last folder
    remove_own(moved, name)
    assert len(_files(disk)) == 2
    assert shared_places.OWNER_FILE not in _files(disk)


def test_a_place_stays_ours_when_the_state_folder_is_restored(state: Path, disk: Path) -> None:
    """Then its number differs."""
    for name in ("local", "credentials", "volumes"):
        (disk / name).mkdir()
        _lead(state, name, disk / name)
    claim(state)
    _has_cluster(state, "1a2b")
    kept = shutil.copytree(state, state.parent / "kept", symlinks=True)
    shutil.rmtree(state)
    shutil.copytree(kept, state, symlinks=True)
    for name in ("local", "credentials", "volumes"):
        assert is_claimed(state, name)
        assert not is_claimed(kept, name)
    claim(state)


@pytest.mark.parametrize("cluster", ["", "1a2b"])
def test_the_number_of_a_state_folder_alone_claims_no_place_of_another(
    state: Path, disk: Path, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Roots of file systems have the same one."""
    _lead(state, "volumes", disk)
    claim(state)
    if cluster:
        _has_cluster(state, cluster)
    _put(disk, "calvinverse-data/x")
    other = state.parent / "other"
    other.mkdir()
    _lead(other, "volumes", disk)
    record = json.loads((disk / shared_places.OWNER_FILE).read_text())
    (disk / shared_places.OWNER_FILE).write_text(json.dumps({**record, "inode": other.stat().st_ino}))
    _is_let_be(other, disk)
    if cluster:
        _lead(other, "volumes", disk)
        monkeypatch.setattr(shared_places, "mount_points", lambda: [other])
        state.rename(state.parent / "moved")
        _is_let_be(other, disk)


def test_a_copy_of_a_deployment_that_was_moved_has_no_part_in_its_place(state: Path, disk: Path) -> None:
    _lead(state, "volumes", disk)
    claim(state)
    _has_cluster(state, "1a2b")
    _put(disk, "calvinverse-data/x")
    copy = shutil.copytree(state, state.parent / "copy", symlinks=True)
    renew_claims(moved := state.rename(state.parent / "moved"))
    _is_let_be(copy, disk)
    assert is_claimed(moved, "volumes")


def _is_let_be(state: Path, disk: Path) -> None:
    """The place where the volumes lead is another deployment's."""
    before = {path: (disk / path).read_bytes() for path in _files(disk)}
    with pytest.raises(MachineError, match="has its own"):
        claim(state)
    renew_claims(state)
    assert not is_claimed(state, "volumes")
    assert used_by_jobs(state / "volumes") == []
    remove_own(state, "volumes")
    assert {path: (disk / path).read_bytes() for path in _files(disk)} == before


def test_another_ones_credentials_prove_nothing(state: Path, disk: Path) -> None:
    (disk / "agents").mkdir()
    _lead(state, "agents", disk / "agents")
    claim(state)
    (disk / "credentials").mkdir()
    (state / "credentials").symlink_to(disk / "credentials")
    claim(state)
    _has_cluster(state, "1a2b")
    other = state.parent / "other"
    other.mkdir()
    for name in ("agents", "credentials"):
        (other / name).symlink_to(disk / name)
        assert not is_claimed(other, name)
    state.rename(state.parent / "moved")
    for name in ("agents", "credentials"):
        assert not is_claimed(other, name)


@pytest.mark.parametrize("damaged", [[1], {"x": 1}, 1, "\0"])
def test_a_damaged_id_of_a_cluster_names_another_one(state: Path, disk: Path, damaged: object) -> None:
    _lead(state, "agents", disk)
    claim(state)
    _has_cluster(state, "1a2b")
    (state / "credentials" / "place.json").write_text(json.dumps({"cluster": damaged}))
    assert is_claimed(state, "agents")
    (state / "credentials" / "cluster.json").unlink()
    moved = Path(shutil.copytree(state, state.parent / "moved", symlinks=True))
    assert not is_claimed(moved, "agents")
    assert is_claimed(state, "agents")


def test_data_without_a_record_are_those_of_a_deployment_that_runs_there(state: Path, disk: Path) -> None:
    _put(disk, "calvinverse-data/x")
    _lead(state, "volumes", disk)
    with pytest.raises(MachineError, match="may hold the data of another deployment") as refused:
        claim(state)
    remove_own(state, "volumes")
    assert _files(disk) == {"calvinverse-data/x"}
    _lead(state, "volumes", disk)
    assert "move away all that is named calvinverse-…" in refused.value.hint
    (disk / "calvinverse-data").rename(state.parent / "away")
    claim(state)
    # An older version deployed it.
    (disk / shared_places.OWNER_FILE).unlink()
    _put(disk, "calvinverse-data/x")
    Supervisor(state / "agents" / "supervisor", {}, {}).settle()
    claim(state)
    remove_own(state, "volumes")
    assert _files(disk) == set()


def test_agents_that_an_older_version_started_there_are_ours(state: Path, disk: Path) -> None:
    _lead(state, "agents", disk)
    Supervisor(state / "agents" / "supervisor", {}, {}).settle()
    assert is_claimed(state, "agents")
    second = state.parent / "second"
    second.mkdir()
    (second / "agents").symlink_to(disk)
    assert not is_claimed(second, "agents")
    claim(state)
    assert (disk / shared_places.OWNER_FILE).exists()


def test_a_mounted_disk_is_like_a_link_and_stays_mounted(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state / "volumes").mkdir()
    monkeypatch.setattr(shared_places, "mount_points", lambda: [state / "volumes"])
    claim(state)
    _put(state / "volumes", "calvinverse-data/x", "builds/x", "photos/x")
    remove_own(state, "volumes")
    assert _files(state / "volumes") == {"builds/x", "photos/x"}


def test_agents_of_others_are_not_ended(
    tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their Nomad's data are no proof that something was deployed here, nor that they are of this deployment."""
    _put(disk, "nomad/data/alloc/x", "openbao/config.json")
    state = tmp_path / "state"
    state.mkdir()
    (state / "agents").symlink_to(disk)
    with pytest.raises(MachineError, match="Nothing was deployed from"):
        refuse_others(state)
    (state / "credentials").mkdir()
    _put(state, "credentials/cluster.json")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    clean_up(state)
    assert f"{disk / 'nomad'} stays: deploy didn't make it" in capsys.readouterr().out
    assert _files(disk) == {"nomad/data/alloc/x", "openbao/config.json"}
