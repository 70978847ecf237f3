"""What is removed before Nomad starts: networks of allocations in which no task runs yet."""

from pathlib import Path
from typing import Any

import pytest

from environments.providers.local_cluster.agents import leftovers, networks
from environments.providers.local_cluster.agents.nomad_start import isolate, remove_unused
from environments.providers.local_cluster.isolation import keeping


def container(name: str, allocation: str) -> dict[str, Any]:
    return {"Id": f"id-{name}", "Names": [f"/{name}"], "Labels": {"com.hashicorp.nomad.alloc_id": allocation}}


def test_a_network_that_a_task_uses_is_kept_and_so_are_those_of_others() -> None:
    containers = [
        container("nomad_init_used", "used"),
        container("web-used", "used"),
        container("nomad_init_unused", "unused"),
        container("nomad_init_foreign", "foreign"),
        container("web-on-the-network-of-its-node", "another"),
    ]
    found = leftovers.unused_holders(containers, {"used", "unused", "another"})
    assert found == {"unused": "id-nomad_init_unused"}


def test_the_lease_of_a_removed_network_is_removed_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "alloc" / "unused").mkdir(parents=True)
    leases = tmp_path / "leases"
    leases.mkdir()
    for address, name in (("172.28.0.2", "used"), ("172.28.0.3", "unused")):
        (leases / address).write_text(f"{name}\r\neth0")
    (leases / "last_reserved_ip.0").write_text("unused")
    listings = iter([[], [], ["unused"]])  # its container appears late
    asked: list[frozenset[str]] = []

    def remove_unused_holders(found: frozenset[str]) -> list[str]:
        asked.append(found)
        return next(listings, [])

    monkeypatch.setattr(leftovers, "remove_unused_holders", remove_unused_holders)
    monkeypatch.setattr(networks, "_LEASES", leases)
    assert remove_unused(tmp_path / "data") == ["unused"]
    assert set(asked) == {frozenset({"unused"})}
    assert sorted(path.name for path in leases.iterdir()) == ["172.28.0.2", "last_reserved_ip.0"]


def test_what_runs_without_the_plugin_is_recorded_where_jobs_are_isolated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(keeping, "adopt", asked.append)
    isolate(tmp_path / "isolation")
    assert asked == []
    (tmp_path / "isolation").mkdir()
    isolate(tmp_path / "isolation")
    assert asked == [tmp_path / "isolation"]


def test_a_first_start_asks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "remove_unused_holders", lambda found: pytest.fail(str(found)))
    assert remove_unused(tmp_path) == []
