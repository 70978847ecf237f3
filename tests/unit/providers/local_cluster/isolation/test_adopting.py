"""Which allocations are found that Nomad connected before the isolation was switched on."""

import json
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from environments import cni
from environments.providers.local_cluster.isolation import keeping
from environments.providers.local_cluster.isolation.adopting import connected, replaced
from environments.providers.local_cluster.isolation.firewall import Firewall
from environments.providers.local_cluster.isolation.model import Allocation, Network
from environments.providers.local_cluster.isolation.records import Records, Settings
from tests.fakes.iptables import Iptables

NETWORK = Network("nomad")
FIRST, SECOND = "3395205e-44ee-2e50-1c53-016906f9864d", "ea786c6d-8b16-9e13-ad72-16ae1137f7e4"


def connect(folder: Path, container: str, address: str, bridge: str = "nomad", **more: str) -> dict[str, Any]:
    """What host-local and CNI's library (1.3) keep of an allocation, without what doesn't matter here."""
    leases, results = folder / "leases", folder / "results"
    for place in (leases, results):
        place.mkdir(exist_ok=True)
    (leases / address).write_text(f"{container}\r\neth0")
    given = {"IgnoreUnknown": "true", "NOMAD_ALLOC_ID": container, "NOMAD_NAMESPACE": "blue", **more}
    result = {
        "kind": "cniCacheV1",
        "containerId": container,
        "cniArgs": [[key, value] for key, value in given.items()],
        "result": {
            "interfaces": [{"name": bridge}, {"name": "veth1"}, {"name": "eth0", "sandbox": "/var/run/netns/1"}],
            "ips": [{"version": "4", "interface": 2, "address": f"{address}/21"}],
        },
    }
    (results / f"nomad-{container}-eth0").write_text(json.dumps(result))
    return result


def found(folder: Path, *known: Allocation) -> list[Allocation]:
    return list(connected(NETWORK, known, folder / "leases", folder / "results"))


def test_those_on_the_bridge_are_found_with_their_environment(tmp_path: Path) -> None:
    assert found(tmp_path) == []
    connect(tmp_path, FIRST, "172.28.0.2")
    connect(tmp_path, SECOND, "172.28.0.3", NOMAD_NAMESPACE="green", CALVINVERSE_OUTGOING="none")
    one = Allocation(FIRST, "blue", IPv4Address("172.28.0.2"))
    two = Allocation(SECOND, "green", IPv4Address("172.28.0.3"), ())
    assert found(tmp_path) == [one, two]
    assert found(tmp_path, one) == [two]


def test_an_address_belongs_to_the_allocation_with_its_lease(tmp_path: Path) -> None:
    """What CNI's library keeps may be of one that was killed."""
    connect(tmp_path, FIRST, "172.28.0.2")
    connect(tmp_path, SECOND, "172.28.0.2")
    assert [each.id for each in found(tmp_path)] == [SECOND]


def test_an_old_record_of_an_address_gives_nothing_to_the_container_that_has_it(tmp_path: Path) -> None:
    """Nomad may have connected it without the plugin, while the machine couldn't isolate jobs."""
    connect(tmp_path, SECOND, "172.28.0.2", NOMAD_NAMESPACE="green")
    old, new = (
        Allocation(container, environment, IPv4Address("172.28.0.2"))
        for container, environment in ((FIRST, "blue"), (SECOND, "green"))
    )
    unleased = Allocation(FIRST, "blue", IPv4Address("172.28.0.7"))
    assert found(tmp_path, old) == [new]
    assert list(replaced([old, unleased], tmp_path / "leases")) == [old]
    assert list(replaced([new], tmp_path / "leases")) == []


@pytest.mark.parametrize(
    "spoil",
    [
        {"cniArgs": []},
        {"cniArgs": [["NOMAD_ALLOC_ID", SECOND], ["NOMAD_NAMESPACE", "blue"]]},
        {"cniArgs": [["NOMAD_ALLOC_ID", FIRST], ["NOMAD_NAMESPACE", "blue"], ["NOMAD_NAMESPACE", "green"]]},
        {"cniArgs": "no list"},
        {"result": {}},
        {"result": {"interfaces": [{"name": "cv01234567"}], "ips": [{"address": "172.28.0.2/21"}]}},
        {"result": {"interfaces": [{"name": "nomad"}], "ips": [{"address": "172.28.0.9/21"}]}},
    ],
)
def test_what_does_not_say_whose_it_is_counts_for_nothing(tmp_path: Path, spoil: dict[str, Any]) -> None:
    result = connect(tmp_path, FIRST, "172.28.0.2")
    (tmp_path / "results" / f"nomad-{FIRST}-eth0").write_text(json.dumps({**result, **spoil}))
    assert found(tmp_path) == []


def test_leases_without_a_result_and_other_files_are_passed_over(tmp_path: Path) -> None:
    connect(tmp_path, FIRST, "172.28.0.2")
    (tmp_path / "results" / f"nomad-{FIRST}-eth0").unlink()
    (tmp_path / "leases" / "172.28.0.3").write_text("")
    (tmp_path / "leases" / "last_reserved_ip.0").write_text("172.28.0.3")
    assert found(tmp_path) == []


def test_adopting_puts_the_right_record_in_place_of_an_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing says whose the container is: it reaches nothing then, instead of what the old one reached."""
    iptables = Iptables()
    monkeypatch.setattr(keeping, "Firewall", lambda: Firewall(iptables.run, ipv6=True))
    monkeypatch.setattr(cni, "LEASES", tmp_path / "leases")
    monkeypatch.setattr(cni, "RESULTS", tmp_path / "results")
    records = Records(tmp_path / "isolation")
    network = Network("cvunit0")
    records.write_settings(Settings(network, Path("/usr/lib/cni/firewall")))
    records.add(Allocation(FIRST, "blue", IPv4Address("172.28.0.2")))
    connect(tmp_path, SECOND, "172.28.0.2", "cvunit0", NOMAD_NAMESPACE="green")
    keeping.adopt(records.folder)
    assert [(each.id, each.environment) for each in records.allocations()] == [(SECOND, "green")]
    records.add(Allocation(FIRST, "blue", IPv4Address("172.28.0.2")))
    (tmp_path / "results" / f"nomad-{SECOND}-eth0").unlink()
    keeping.adopt(records.folder)
    assert list(records.allocations()) == []
