"""`doit undeploy --force` gets through whatever is in the files of the state or in their place, and without them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from environments.domain.errors import CalvinverseError, MachineError, ServiceUnavailable
from environments.private_files import discard
from environments.providers.local_cluster.agents import leftovers
from environments.providers.local_cluster.agents.clean_up import clean_up
from environments.providers.local_cluster.agents.local import LocalAgents
from environments.providers.local_cluster.agents.site import chosen_file
from jobs import undeploy as removal
from jobs.places import Places
from jobs.undeploy import undeploy
from tests.support.state_garbage import FILES, GARBAGE, full_folder, make_state

KEPT = ("contexts/", "sessions/", "images/", "versions.json", "tools/")
"""What undeploy leaves: it is of people, and of builds."""


@pytest.fixture
def agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalAgents:
    """Those of a state folder; no local service starts, and the program that cleans up is called here."""

    @contextmanager
    def broken(where: Places) -> Iterator[None]:
        raise ServiceUnavailable("The local service ended at once.")
        yield

    monkeypatch.setattr(removal, "local_service", broken)
    monkeypatch.setattr(removal, "_remove_agents", lambda where, tell: clean_up(where.state))
    return make_state(tmp_path / "state", monkeypatch)


def _remove(agents: LocalAgents, kept: tuple[str, ...] = KEPT) -> None:
    state = agents.site.state
    assert undeploy(Places(state), lambda line: None, force=True)
    assert [name for name in FILES if (state / name).exists() and not name.startswith(kept)] == []
    assert not [path for path in (agents.site.folder, agents.site.credentials, state / "local") if path.exists()]


@pytest.mark.parametrize("file", [name for name in FILES if not name.startswith(KEPT)])
def test_a_folder_in_the_place_of_a_file(agents: LocalAgents, file: str) -> None:
    full_folder(agents.site.state / file)
    _remove(agents)


@pytest.mark.parametrize("kind", GARBAGE)
def test_the_same_garbage_in_every_file(agents: LocalAgents, kind: str) -> None:
    for file in FILES:
        GARBAGE[kind](agents.site.state / file)
    # As a context, an object with other keys is one for another service.
    _remove(agents, (*KEPT, "context.json") if kind == "number" else KEPT)


@pytest.mark.parametrize("folder", ["agents", "local", "credentials", "agents/nomad", "agents/openbao/data", "volumes"])
def test_a_file_in_the_place_of_a_folder(agents: LocalAgents, folder: str) -> None:
    place = agents.site.state / folder
    discard(place)
    place.touch()
    _remove(agents)
    assert not place.exists()


def test_without_force_a_lost_cluster_is_told_with_what_helps(agents: LocalAgents) -> None:
    path = chosen_file(agents.site.state)
    path.unlink()
    with pytest.raises(MachineError, match=f"The file {path} is missing") as told:
        LocalAgents(agents.site.state, {})
    assert "`doit undeploy --force`" in told.value.hint
    with pytest.raises(CalvinverseError):
        undeploy(Places(agents.site.state), lambda line: None)
    assert not path.exists()
    assert leftovers.allocations_of(agents.nomad.data) == frozenset()
