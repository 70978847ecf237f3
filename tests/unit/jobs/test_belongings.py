"""Only what deploy made in a state folder is removed: a mark proves it, or names that nobody else gives."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from environments.belongings import claim, is_marked, is_ours, refuse_others, remove_own
from environments.domain.errors import MachineError, UnknownEnvironment
from environments.providers.local_cluster.agents.clean_up import clean_up
from jobs import undeploy as removal
from jobs.deploy import DeployRequest, deploy
from jobs.local_service import exclusive
from jobs.places import Places
from jobs.undeploy import undeploy

FOREIGN = ("local/bin/tool", "agents/notes.md", "credentials/aws", "volumes/photos", "token")


class _Nothing:
    def environment(self, name: str) -> None:
        raise UnknownEnvironment(name)


@contextmanager
def _without_environments(where: Places) -> Iterator[_Nothing]:
    yield _Nothing()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a person, with names that a deployment gives, too."""
    monkeypatch.setattr(removal, "local_service", _without_environments)
    for name in FOREIGN:
        _put(tmp_path / name)
    return tmp_path


def _put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    return path


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_removed_from_a_folder_that_nothing_was_deployed_from(home: Path, force: bool) -> None:
    with pytest.raises(MachineError, match="Nothing was deployed from") as refused:
        undeploy(Places(home), lambda line: None, force=force)
    assert "CALVINVERSE_STATE" in refused.value.hint
    with pytest.raises(MachineError, match="Nothing was deployed from"):
        clean_up(home)
    assert _files(home) == sorted(FOREIGN)


def test_nothing_is_deployed_from_a_folder_of_other_things(home: Path) -> None:
    with pytest.raises(MachineError, match="local/bin") as refused:
        deploy(Places(home), DeployRequest(image="", binaries={}), lambda line: None)
    assert "move that away" in refused.value.hint
    assert _files(home) == sorted(FOREIGN)


@pytest.mark.parametrize("other", ["thesis.tex", "photos/one", "agents/notes.md", "token"])
def test_each_other_thing_is_named(tmp_path: Path, other: str) -> None:
    _put(tmp_path / other)
    with pytest.raises(MachineError, match=str(tmp_path / other.partition("/")[0])):
        claim(tmp_path)
    assert not is_marked(tmp_path)


def test_a_home_is_no_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in (tmp_path, Path("/")):
        with pytest.raises(MachineError, match="can't be a state folder"):
            claim(folder)


def test_a_folder_of_builds_and_contexts_is_marked_once(tmp_path: Path) -> None:
    for name in ("images/web/journal.jsonl", "contexts/far.json", "versions.json", "doit.db", "token"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    claim(tmp_path)
    assert is_marked(tmp_path)
    _put(tmp_path / "local" / "more")
    claim(tmp_path)
    assert remove_own(tmp_path, "local") == []


def test_an_older_deployment_is_recognised_and_what_is_of_others_in_it_stays(home: Path) -> None:
    (home / "local" / "calvinverse.sqlite").touch()
    assert is_ours(home)
    said: list[str] = []
    assert undeploy(Places(home), said.append)
    assert _files(home) == sorted([*FOREIGN, "deploy.lock"])
    assert f"{home / 'local/bin'} stays: deploy didn't make it." in said
    assert f"{home / 'agents/notes.md'} stays: deploy didn't make it." in said
    assert f"{home / 'token'} stays: deploy didn't make it." in said


def test_an_older_deployment_without_other_things_is_marked(tmp_path: Path) -> None:
    _put(tmp_path / "credentials" / "cluster.json")
    _put(tmp_path / "notes-of-somebody")
    claim(tmp_path)
    assert is_marked(tmp_path)


def test_an_empty_folder_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    refuse_others(tmp_path)
    (tmp_path / "agents").rmdir()
    (tmp_path / "agents").symlink_to(tmp_path)
    with pytest.raises(MachineError):
        refuse_others(tmp_path)


def test_the_mark_goes_with_the_deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what somebody puts into the folder later would be removed as ours."""
    monkeypatch.setattr(removal, "local_service", _without_environments)
    claim(tmp_path)
    (tmp_path / "local").mkdir()
    assert undeploy(Places(tmp_path), lambda line: None)
    assert not is_marked(tmp_path)
    assert (tmp_path / "deploy.lock").read_bytes() == b""


def test_the_mark_stays_as_long_as_containers_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "local_service", _without_environments)
    monkeypatch.setattr(removal, "_remove_agents", lambda where, tell: None)
    claim(tmp_path)
    (tmp_path / "left-containers.json").touch()
    assert undeploy(Places(tmp_path), lambda line: None)
    assert is_marked(tmp_path)


def test_a_mark_that_an_older_version_left_proves_nothing(tmp_path: Path) -> None:
    claim(tmp_path)
    photos = _put(tmp_path / "volumes" / "photos" / "one")
    with pytest.raises(MachineError, match="volumes/photos") as refused:
        claim(tmp_path)
    assert "move that away" in refused.value.hint
    assert photos.exists()


@pytest.mark.parametrize("leads_to", ["passwd", "missing", "deploy.lock"])
def test_a_link_in_the_place_of_the_lock_is_not_written_through(tmp_path: Path, leads_to: str) -> None:
    state, other = tmp_path / "state", _put(tmp_path / "passwd")
    state.mkdir()
    lock = state / "deploy.lock"
    lock.symlink_to(lock if leads_to == lock.name else tmp_path / leads_to)
    with pytest.raises(MachineError, match="it is a link") as refused:
        claim(state)
    assert refused.value.hint == f"Remove it: `rm {lock}`."
    with pytest.raises(MachineError, match="it is a link"), exclusive(Places(state)):
        pass
    assert other.read_text() == "mine"
    assert not (tmp_path / "missing").exists()
