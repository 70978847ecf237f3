"""By which path a state folder is known: other ways to it are one, and one that was moved or copied is told apart."""

import contextlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from environments import open_files, running_elsewhere, state_origin
from environments.domain.errors import InvalidInput, MachineError
from environments.providers.local_cluster.agents import place
from environments.providers.local_cluster.agents.clean_up import clean_up
from environments.providers.local_cluster.agents.local import LocalAgents
from environments.providers.local_cluster.agents.site import chosen_file
from environments.providers.local_cluster.agents.supervisor import Supervisor

STRANGE = "it's $HOME ${x} 50% ünï {{y}} %(here)s"


@pytest.fixture(autouse=True)
def _without_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")


@pytest.fixture(params=["state", STRANGE])
def state(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A state folder in which agents were started."""
    folder = tmp_path / str(request.param)
    LocalAgents(folder, {}).supervisor.settle()
    return folder


def test_a_folder_in_which_nothing_was_started_is_known_by_its_own_path(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert state_origin.known_by(tmp_path / "link") == tmp_path
    assert state_origin.former(tmp_path) is None


@pytest.mark.parametrize("path", ["/a\0b", "/a\ud800", "a/b", None])
def test_a_record_of_what_can_be_no_path_says_nothing(tmp_path: Path, path: str | None) -> None:
    (tmp_path / "local").mkdir()
    record = {"path": path, "inode": 1, "cluster": "0a1b2c3d"}
    (tmp_path / "local" / state_origin.RECORD_FILE).write_text(json.dumps(record))
    assert state_origin.recorded(tmp_path) is None
    assert state_origin.known_by(tmp_path) == tmp_path
    state_origin.refuse_copy(tmp_path)


def test_a_link_to_the_folder_changes_nothing(state: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(state)
    assert LocalAgents(tmp_path / "link", {}).site.state == state
    assert state_origin.former(state) is None


def test_a_link_by_which_an_older_version_started_the_agents_is_kept(tmp_path: Path) -> None:
    state, link = tmp_path / "state", tmp_path / "link"
    state.mkdir()
    link.symlink_to(state)
    Supervisor(link / "agents" / "supervisor", {}, {}).settle()
    assert LocalAgents(state, {}).site.state == link
    assert state_origin.former(link) is None


def test_a_moved_folder_knows_where_it_was(state: Path, tmp_path: Path) -> None:
    moved = state.rename(tmp_path / "moved")
    assert state_origin.known_by(moved) == moved
    assert state_origin.former(moved) == state
    agents = LocalAgents(moved, {})
    agents.settle()
    assert state_origin.former(moved) is None
    agents.settle()


def test_a_copy_is_refused_and_names_the_original(state: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    (copy / "agents" / "supervisor").mkdir(parents=True)
    for file in ("agents/supervisor/supervisord.conf", "credentials/cluster.json"):
        (copy / file).parent.mkdir(exist_ok=True)
        (copy / file).write_bytes((state / file).read_bytes())
    for attempt in (LocalAgents.settle, LocalAgents.remove):
        with pytest.raises(MachineError, match="is a copy of") as caught:
            attempt(LocalAgents(copy, {}))
        assert str(state) in caught.value.message


@pytest.mark.parametrize("damaged", ["agents/supervisor/supervisord.conf", "credentials/cluster.json"])
def test_one_damaged_file_hides_no_copy(state: Path, tmp_path: Path, damaged: str) -> None:
    copy = Path(shutil.copytree(state, tmp_path / "copy"))
    (copy / damaged).write_text("")
    for attempt in (state_origin.refuse_copy, clean_up):
        with pytest.raises(MachineError, match="is a copy of"):
            attempt(copy)
    moved = state.rename(tmp_path / "moved")
    (moved / damaged).write_text("")
    state_origin.refuse_copy(moved, forced=False)


@pytest.mark.parametrize("forced", [False, True])
def test_a_copy_of_which_nothing_says_which_cluster_it_has_can_be_removed_by_force_alone(
    state: Path, tmp_path: Path, forced: bool
) -> None:
    copy = Path(shutil.copytree(state, tmp_path / "copy"))
    for name in ("cluster.json", "place.json"):
        (copy / "credentials" / name).unlink()
    with contextlib.nullcontext() if forced else pytest.raises(MachineError, match="is a copy of"):
        state_origin.refuse_copy(copy, forced=forced)


def test_a_copy_without_agents_is_known_by_the_number_of_the_original(tmp_path: Path) -> None:
    """All parts of its cluster are those of others."""
    original = tmp_path / "original"
    (original / "local").mkdir(parents=True)
    state_origin.remember(original, "local")
    copy = Path(shutil.copytree(original, tmp_path / "copy"))
    with pytest.raises(MachineError, match="is a copy of"):
        state_origin.refuse_copy(copy)
    shutil.rmtree(original)
    state_origin.refuse_copy(copy)


def test_what_another_cluster_runs_at_the_former_path_is_let_be(state: Path, tmp_path: Path) -> None:
    moved = state.rename(tmp_path / "moved")
    LocalAgents(state, {}).supervisor.settle()
    assert chosen_file(state).exists()
    LocalAgents(moved, {}).settle()
    assert state_origin.former(moved) is None
    assert state_origin.former(state) is None


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Has a process run in a state folder, as /proc shows it: this one, with an agent's log open."""

    def run(state: Path) -> None:
        monkeypatch.setattr(open_files, "every", lambda: iter([os.getpid()]))
        monkeypatch.setattr(open_files, "open_files", lambda pid: ["socket:[1]", f"{state}/agents/logs/nomad.log"])

    return run


def test_a_copy_is_one_also_where_the_original_was_moved(
    state: Path, tmp_path: Path, runs: Callable[[Path], None]
) -> None:
    copy = Path(shutil.copytree(state, tmp_path / "copy"))
    moved = state.rename(tmp_path / "moved")
    runs(moved)
    for attempt in (state_origin.refuse_copy, clean_up):
        with pytest.raises(MachineError, match="one of them is a copy of the other") as refused:
            attempt(copy)
        assert str(moved) in refused.value.message
        assert "`doit undeploy` there" in refused.value.hint
    state_origin.refuse_copy(moved, forced=False)
    # Nor may the original end what was started in a copy while nothing of it ran.
    LocalAgents(copy, {}).supervisor.settle()
    runs(copy)
    with pytest.raises(MachineError, match="one of them is a copy of the other"):
        state_origin.refuse_copy(moved)


def test_a_copy_without_a_cluster_is_one_of_what_was_started_at_its_former_path(
    state: Path, tmp_path: Path, runs: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(state, tmp_path / "copy"))
    for name in ("cluster.json", "place.json"):
        (copy / "credentials" / name).unlink()
    moved = state.rename(tmp_path / "moved")
    runs(moved)
    monkeypatch.setattr(running_elsewhere, "_started_at", lambda former, pid: former == state)
    with pytest.raises(MachineError, match="one of them is a copy of the other"):
        state_origin.refuse_copy(copy)


@pytest.mark.parametrize(
    "file", ["{moved}/agents/logs/x", "{state}/agents/logs/x (deleted)", "{tmp}/agents/logs/x", "/x"]
)
def test_what_runs_here_or_is_of_others_makes_no_copy(
    state: Path, tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A move to another disk copies the folder, too, and what was started there has files that are deleted."""
    moved = Path(shutil.copytree(state, tmp_path / "moved"))
    shutil.rmtree(state)
    monkeypatch.setattr(open_files, "every", lambda: iter([os.getpid()]))
    opened = file.format(moved=moved, state=state, tmp=tmp_path)
    monkeypatch.setattr(open_files, "open_files", lambda pid: [opened])
    state_origin.refuse_copy(moved, forced=False)
    assert state_origin.is_certain(moved)


def test_agents_that_a_link_leads_to_are_those_of_the_moved_folder(
    tmp_path: Path, runs: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open files have the path that the link leads to."""
    state, disk = tmp_path / "checkout" / "state", tmp_path / "disk"
    (disk / "agents").mkdir(parents=True)
    state.mkdir(parents=True)
    (state / "agents").symlink_to(disk / "agents")
    LocalAgents(state, {}).supervisor.settle()
    runs(disk)
    monkeypatch.setattr(running_elsewhere, "_started_at", lambda former, pid: former == state)
    state_origin.refuse_copy(state)
    moved = state.parent.rename(tmp_path / "moved") / "state"
    state_origin.refuse_copy(moved, forced=False)
    # What runs with other agents is still found.
    (moved / "agents").unlink()
    shutil.copytree(disk / "agents", moved / "agents")
    with pytest.raises(MachineError, match="one of them is a copy of the other"):
        state_origin.refuse_copy(moved)


def test_files_of_other_users_prove_nothing(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can make such folders, and the network's name tells the cluster."""
    theirs = Path(shutil.copytree(state, tmp_path / "theirs"))
    monkeypatch.setattr(open_files, "every", lambda: iter([os.getpid()]))
    monkeypatch.setattr(open_files, "open_files", lambda pid: [f"{theirs}/agents/logs/x"])
    assert running_elsewhere.running_elsewhere(state, lambda folder: True, None) == theirs
    monkeypatch.setattr(running_elsewhere, "_users", lambda state: {os.geteuid() + 1})
    assert running_elsewhere.running_elsewhere(state, lambda folder: True, None) is None


def test_a_removal_keeps_what_says_where_the_folder_was(state: Path, tmp_path: Path) -> None:
    """After a removal that was interrupted the next one believes no more than this one."""
    copy = Path(shutil.copytree(state, tmp_path / "copy"))
    for name in ("cluster.json", "place.json"):
        (copy / "credentials" / name).unlink()
    agents = LocalAgents(copy, {})
    assert state_origin.former(copy) == state
    assert not state_origin.is_certain(copy)
    agents._leave_former(settle=False)
    assert state_origin.former(copy) == state
    assert not state_origin.is_certain(copy)
    agents.settle()
    assert state_origin.is_certain(copy)


@pytest.mark.parametrize("name", ["a:b", "a\nb", "a #b", "a ;b", "a\\b"])
def test_a_path_that_agents_can_not_have_is_told_in_a_sentence(name: str) -> None:
    with pytest.raises(InvalidInput, match="its path has") as caught:
        place.check_path(Path("/srv", name))
    assert "Move the checkout" in caught.value.hint


@pytest.mark.parametrize("name", [STRANGE, "a#b;c", "plain", 'q"`x`'])
def test_other_paths_are_fine(name: str) -> None:
    place.check_path(Path("/srv", name))


LONG = "x" * 90


@pytest.mark.parametrize("name", ["a", LONG])
def test_no_variable_moves_the_socket(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, found = Path("/srv", name), set()
    for temporary in (tmp_path, Path("/var/tmp")):
        monkeypatch.setattr(tempfile, "tempdir", None)
        monkeypatch.setenv("TMPDIR", str(temporary))
        found.add(Supervisor(folder, {}, {}).socket)
    (socket,) = found
    assert len(str(socket)) < 100
    assert (socket.parent == folder) is (name == "a")


def test_a_supervisord_that_an_older_version_started_is_found_at_its_socket(tmp_path: Path) -> None:
    """Where it stood depended on TMPDIR; its configuration names it."""
    folder = tmp_path / LONG
    supervisor = Supervisor(folder, {}, {})
    supervisor.settle()
    config = supervisor.config.read_text()
    supervisor.config.write_text(config.replace(str(supervisor.socket), "/var/tmp/calvinverse-1/supervisor.sock"))
    assert supervisor.socket == Path("/var/tmp/calvinverse-1/supervisor.sock")


def test_of_what_the_configuration_names_elsewhere_only_a_socket_of_ours_is_removed(
    state: Path, tmp_path: Path
) -> None:
    """Whoever can change the configuration can name anything in it."""
    supervisor = Supervisor(state / "agents" / "supervisor", {}, {})
    own, config = supervisor.socket, supervisor.config.read_text()
    places = {
        name: tmp_path / "calvinverse-1" / name for name in ("supervisor.sock", "docker.sock", "home/supervisor.sock")
    }
    places["home/supervisor.sock"].mkdir(parents=True)
    for name in ("supervisor.sock", "docker.sock"):
        os.mknod(places[name], stat.S_IFSOCK | 0o600)
    for place_ in places.values():
        supervisor.config.write_text(config.replace(str(own).replace("%", "%%"), str(place_)))
        assert supervisor.socket == place_
        supervisor.shut_down()
    assert [name for name, place_ in places.items() if place_.exists()] == ["docker.sock", "home/supervisor.sock"]


@pytest.mark.parametrize(("mode", "believed"), [(0o700, True), (0o755, False), (0o777, False)])
def test_a_socket_elsewhere_is_believed_in_a_folder_of_our_own_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, believed: bool
) -> None:
    (tmp_path / "others").mkdir()
    (tmp_path / "others").chmod(mode)
    socket = tmp_path / "others" / "supervisor.sock"
    monkeypatch.setattr("environments.providers.local_cluster.agents.supervisor._socket_path", lambda folder: socket)
    monkeypatch.setattr(Supervisor, "_call", lambda *_: {"statecode": 1})
    assert Supervisor(tmp_path / "agents" / "supervisor", {}, {}).answers() is believed


@pytest.mark.parametrize("damage", [lambda path: path.write_text("x"), lambda path: path.write_bytes(b"\xff\n[")])
def test_a_damaged_configuration_counts_for_nothing(state: Path, damage: Callable[[Path], object]) -> None:
    damage(state / "agents" / "supervisor" / "supervisord.conf")
    assert state_origin.known_by(state) == state
    assert state_origin.former(state) is None
