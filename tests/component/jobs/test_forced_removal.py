"""`doit undeploy --force` gets through whatever is in the files of the state or in their place, and without them."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from environments.belongings import LEFT_CONTAINERS
from environments.domain.errors import CalvinverseError, MachineError, ServiceUnavailable
from environments.private_files import discard, write_private
from environments.providers.local_cluster.agents import leftovers, networks
from environments.providers.local_cluster.agents.clean_up import clean_up, main
from environments.providers.local_cluster.agents.local import LocalAgents
from environments.providers.local_cluster.agents.site import chosen_file
from environments.providers.local_cluster.isolation.firewall import Firewall
from jobs import undeploy as removal
from jobs.places import Places
from jobs.undeploy import undeploy
from tests.support.state_garbage import CLAIM, FILES, GARBAGE, LOCKS, SUBNET, full_folder, make_state

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


@pytest.mark.parametrize("lock", LOCKS)
def test_a_folder_in_the_place_of_a_lock(agents: LocalAgents, lock: str) -> None:
    """Nobody holds a lock on a folder."""
    state = agents.site.state
    full_folder(state / lock)
    (state / LEFT_CONTAINERS).write_text(json.dumps({"folders": [], "allocations": []}))
    with pytest.raises(CalvinverseError):
        undeploy(Places(state), lambda line: None)
    _remove(agents)
    assert [name for name in LOCKS if (state / name).is_dir()] == []


def test_what_leads_nowhere_in_the_place_of_every_lock(agents: LocalAgents) -> None:
    for lock in LOCKS:
        if lock != "claims/lock":  # that one is of all deployments on the machine
            place = agents.site.state / lock
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            place.symlink_to(place)
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


def test_agents_of_which_the_database_knows_nothing(agents: LocalAgents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "_undeploy", lambda *_: None)
    _remove(agents)


@pytest.fixture
def machine(agents: LocalAgents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A bridge, rules and a cgroup of the cluster, and those of another one; gives what is removed."""
    removed: dict[str, list[str]] = {"bridges": [], "subnets": []}
    for cluster in (agents.site.chosen.cluster, "0123abcd"):
        (tmp_path / "interfaces" / f"cv{cluster}" / "bridge").mkdir(parents=True)
        (tmp_path / "cgroups" / f"calvinverse{cluster}.slice" / "task.scope").mkdir(parents=True)

    def clear_table(table: str, bridge: str, network: object, ids: object) -> int:
        removed["subnets"].append(str(network))
        return 0

    monkeypatch.setattr(networks, "_clear_table", clear_table)
    monkeypatch.setattr(networks, "_remove_bridge", removed["bridges"].append)
    return removed


def _route(agents: LocalAgents) -> None:
    """The kernel's route to the bridge: 172.28.0.0/21."""
    line = f"{agents.nomad.bridge}\t00001CAC\t00000000\t0001\t0\t0\t0\t00F8FFFF\t0\t0\t0\n"
    write_private(agents.site.state / "routes", f"Iface\n{line}")


@pytest.mark.parametrize("lost", ["cluster", "configuration too", "subnet's file and claim", "configuration and files"])
def test_what_is_named_after_a_lost_cluster_is_found_and_removed(
    agents: LocalAgents, machine: dict[str, list[str]], tmp_path: Path, lost: str
) -> None:
    state = agents.site.state
    chosen_file(state).unlink()
    _route(agents)
    if "configuration" in lost:
        agents.nomad.config.write_bytes(b"{")
    if "file" in lost:
        (agents.nomad.folder / "subnet").unlink()
    if lost == "subnet's file and claim":
        (state / CLAIM).unlink()
    own = agents.site.chosen.cluster
    _remove(agents)
    assert f"cv{own}" in machine["bridges"]
    assert "cv0123abcd" not in machine["bridges"]
    assert set(machine["subnets"]) == {SUBNET}
    assert sorted(path.name for path in (tmp_path / "cgroups").iterdir()) == ["calvinverse0123abcd.slice"]
    assert not (state / CLAIM).exists()


def test_a_subnet_that_another_agent_has_claimed_since_is_left_to_it(
    agents: LocalAgents, machine: dict[str, list[str]], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    _route(agents)
    (agents.site.state / CLAIM).write_text(str(other))
    chosen_file(agents.site.state).unlink()
    agents.nomad.config.write_bytes(b"{")
    _remove(agents, (*KEPT, CLAIM))
    assert machine["subnets"] == []
    assert (agents.site.state / CLAIM).read_text() == str(other)


def test_rules_are_removed_where_their_record_is_damaged(
    agents: LocalAgents, machine: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[str] = []
    monkeypatch.setattr(Firewall, "remove", lambda firewall, network: removed.append(network.bridge))
    folder = agents.nomad.isolation.folder
    write_private(folder / "cni" / "firewall", "#!/bin/sh\n")
    (folder / "network.json").write_bytes(b"{")
    _remove(agents)
    assert removed == [agents.nomad.bridge]


def test_a_copied_configuration_names_nothing_of_its_own(
    agents: LocalAgents, machine: dict[str, list[str]], tmp_path: Path
) -> None:
    """The one that it was copied from still has its bridge."""
    config = json.loads(agents.nomad.config.read_text())
    (tmp_path / "original").mkdir()
    config["data_dir"] = str(tmp_path / "original")
    config["client"]["cgroup_parent"] = "calvinverse0123abcd.slice"
    agents.nomad.config.write_text(json.dumps(config))
    _remove(agents)
    assert machine["bridges"] == [agents.nomad.bridge]
    assert (tmp_path / "cgroups" / "calvinverse0123abcd.slice").exists()


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


def test_a_copy_that_nothing_proves_to_be_one_removes_nothing_of_the_original(
    agents: LocalAgents, machine: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What says so was lost with a full disk; the cluster's file and the allocations are those of the original."""
    original = agents.site.state
    copy = Path(shutil.copytree(original, tmp_path / "copy"))
    for lost in ("agents/nomad/config.json", CLAIM, "credentials/place.json", "local/place.json"):
        (copy / lost).write_text("")
    removed: list[str] = []
    monkeypatch.setattr(Firewall, "remove", lambda firewall, network: removed.append(network.bridge))
    assert undeploy(Places(copy), lambda line: None, force=True)
    assert machine["bridges"] == machine["subnets"] == removed == []
    assert (tmp_path / "cgroups" / agents.nomad.cgroup).exists()
    assert (original / CLAIM).exists()


def test_containers_that_stay_while_the_engine_is_away_are_removed_by_the_next_run(
    agents: LocalAgents, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, said = Places(agents.site.state), list[str]()
    allocation = "0aa1b2c3-0000-4000-8000-000000000001"
    (agents.nomad.data / "alloc" / allocation).mkdir(parents=True)
    assert undeploy(where, said.append, force=True)
    assert "Containers of jobs may stay" in said[-1]
    assert not where.agents.exists()
    removed = []

    def remove(folders: list[Path], allocations: list[str]) -> bool:
        removed.append((folders, allocations))
        return True

    monkeypatch.setattr(leftovers, "remove_containers_below", remove)
    assert undeploy(where, said.append)
    assert removed == [([agents.nomad.data, agents.site.volumes], [allocation])]
    assert not undeploy(where, said.append)


def test_the_program_that_cleans_up_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "notes.md").touch()
    assert main(tmp_path) == 1
    assert "Name the state folder of the deployment in CALVINVERSE_STATE." in capsys.readouterr().out
