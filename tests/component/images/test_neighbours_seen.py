"""What `calvinverse doctor` and `doit deploy` see of other Nomads on the engine, and what they say."""

from pathlib import Path
from typing import Any

import pytest

from images import machine
from images.neighbours import ADVICE, Neighbours, neighbours
from jobs import tasks


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("CALVINVERSE_STATE", str(tmp_path / "state"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "proc").mkdir()
    return tmp_path / "state"


def engine(state: Path, *lines: str, status: int = 0) -> None:
    """A docker command that lists these containers, and complains besides."""
    docker = state.parent / "bin" / "docker"
    said = "\n".join(f"echo '{line}'" for line in lines)
    docker.write_text(f"#!/bin/sh\necho 'WARNING: a word' >&2\n{said}\nexit {status}\n")
    docker.chmod(0o755)


def process(state: Path, pid: int, *words: str) -> None:
    folder = state.parent / "proc" / str(pid)
    folder.mkdir()
    (folder / "cmdline").write_bytes(b"\0".join(word.encode() for word in (*words, "")))


def seen(state: Path) -> Neighbours:
    return neighbours(state, state.parent / "proc")


def test_ours_alone_are_no_neighbours(state: Path) -> None:
    engine(state, f"web-1 {state}/agents/nomad/data/alloc/1/alloc,{state}/agents/nomad/data/alloc/1/web/local")
    process(state, 10, "/bin/nomad", "agent", "-config", f"{state}/agents/nomad/config.json")
    process(state, 11, "/bin/nomad", "logmon")
    process(state, 12, "vi", "nomad", "agent")
    process(state, 13, "")
    assert not seen(state)


def test_containers_and_agents_of_others_are_named_and_counted(state: Path) -> None:
    engine(
        state,
        f"ours-1 {state}/agents/nomad/data/alloc/1/alloc",
        "theirs-1 /opt/nomad/alloc/2/alloc",
        # Another checkout, whose folder begins alike, and one without mounts.
        f"theirs-2 {state}-of-somebody/agents/nomad/data/alloc/3/alloc",
        "theirs-3 ",
        "theirs-4 /opt/nomad/alloc/5/alloc",
    )
    process(state, 700, "/usr/bin/nomad", "agent", "-config=/etc/nomad.d")
    found = seen(state)
    assert found.containers == ("theirs-1", "theirs-2", "theirs-3", "theirs-4")
    assert found.agents == ("nomad (700)",)
    assert found.sentence() == (
        "Another Nomad works on this machine's Docker engine: 4 running containers (theirs-1, theirs-2, theirs-3 and 1 "
        "more) and 1 agent (nomad (700)) not of this deployment."
    )


def test_an_engine_that_does_not_answer_says_nothing(state: Path) -> None:
    assert seen(state) == Neighbours()
    engine(state, "theirs /x", status=1)
    assert seen(state) == Neighbours()


def test_doctor_warns_and_says_what_it_may_do_and_what_to_set(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "neighbours", lambda folder: Neighbours(("theirs-1",)) if folder == state else None)
    (check,) = machine.others()
    assert (check.name, check.verdict) == ("neighbours", "warn")
    assert "1 running container (theirs-1)" in check.sentence
    assert "removes every container that it doesn't know" in check.hint
    assert "dangling_containers { enabled = false }" in check.hint
    monkeypatch.setattr(machine, "neighbours", lambda folder: Neighbours())
    (check,) = machine.others()
    assert check.verdict == "ok"


@pytest.mark.parametrize(("nomad", "warned"), [("", True), ("http://nomad.example:4646", False)])
def test_deploy_warns_before_it_starts(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], nomad: str, warned: bool
) -> None:
    """Not where jobs run in a Nomad of the user's own: it knows its containers."""

    class Stop(Exception):
        pass

    def deploy(*arguments: object) -> None:
        raise Stop

    class Images:
        def deployable(self, *names: object) -> object:
            return type("Image", (), {"reference": "sha256:1"})()

        def deployables(self, *names: object) -> list[object]:
            return []

    monkeypatch.setattr(tasks, "neighbours", lambda folder: Neighbours(agents=("nomad (7)",)))
    monkeypatch.setattr(tasks, "Catalogue", Images)
    monkeypatch.setattr(tasks, "require", lambda *names: {})
    monkeypatch.setattr("jobs.deploy.deploy", deploy)
    parts: dict[str, Any] = {
        f"{part}{what}": "" for part in ("consul", "openbao", "nomad") for what in ("", "_token_file", "_ca_file")
    }
    with pytest.raises(Stop):
        tasks.deploy(**{**parts, "nomad": nomad, "nomad_token_file": "token"})
    said = "".join(capsys.readouterr())
    assert ("nomad (7)" in said and ADVICE in said.replace("\n", " ")) is warned
