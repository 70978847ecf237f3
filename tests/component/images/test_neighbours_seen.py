"""What `calvinverse doctor` and `doit deploy` see of other Nomads on the engine, and what they say."""

from pathlib import Path

import pytest

from images.neighbours import Neighbours, neighbours
from tests.support.machine_checks import empty_machine


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return empty_machine(tmp_path, monkeypatch)


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


def test_what_holds_the_network_of_an_allocation_of_ours_is_no_neighbour(state: Path) -> None:
    (state / "agents/nomad/data/alloc/1").mkdir(parents=True)
    engine(state, "nomad_init_1 ", "nomad_init_2 ")
    assert seen(state).containers == ("nomad_init_2",)


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
