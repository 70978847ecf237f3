"""Which interfaces lead out of the node."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from environments.node_firewall import NotIsolated
from environments.providers.local_cluster.isolation.ways_out import LINKS, ROUTES, find

ETHER: dict[str, Any] = {"link_type": "ether"}


def link(name: str, kind: str = "", under: str = "", **info: str) -> dict[str, Any]:
    """An interface as `ip` shows it; without a kind it is hardware."""
    given = {**({"info_kind": kind} if kind else {}), **info}
    return {"ifname": name, **ETHER, **({"link": under} if under else {}), **({"linkinfo": given} if given else {})}


def ways(links: Sequence[dict[str, Any]] = (), routes: Sequence[dict[str, Any]] = ()) -> tuple[str, ...]:
    answers = {LINKS: json.dumps(list(links)), ROUTES: json.dumps(list(routes))}
    return find(lambda command, _: answers[tuple(command)], "cv1")


def test_hardware_leads_out_and_so_do_its_vlans_and_bonds() -> None:
    links = [
        {"ifname": "lo", "link_type": "loopback"},
        link("eth0"),
        link("wlan0"),
        link("eth0.7", "vlan", "eth0"),
        link("bond0", "bond"),
        link("eth1", info_slave_kind="bond"),
    ]
    assert ways(links) == ("bond0", "eth0", "eth0.7", "eth1", "wlan0")


def test_what_leads_to_containers_and_virtual_machines_does_not_whatever_its_name() -> None:
    kinds = ("bridge", "veth", "tun", "wireguard", "macvlan", "ipvlan", "vxlan", "dummy", "ifb", "openvswitch")
    links = [
        *(link(f"eth{number}", kind) for number, kind in enumerate(kinds)),
        link("enp1", info_slave_kind="bridge"),
        link("enp1.7", "vlan", "enp1"),
        link("eth0.7", "vlan", "eth0"),
        link("eth9.7", "vlan", "gone"),
        link("a", "vlan", "b"),
        link("b", "vlan", "a"),
    ]
    assert ways(links) == ()


def test_interfaces_of_default_routes_lead_out_whatever_they_are() -> None:
    routes: list[dict[str, Any]] = [
        {"dst": "default", "dev": "vmbr0"},
        {"dst": "default", "table": "51820", "dev": "wg0"},
        {"dst": "0.0.0.0/1", "dev": "tun0"},
        {"dst": "default", "nexthops": [{"dev": "eth1"}, {"dev": "eth2"}]},
        {"dst": "default", "dev": "cv1"},
        {"dst": "10.0.0.0/8", "dev": "docker0"},
        {"type": "unreachable", "dst": "default", "dev": "dummy0"},
    ]
    assert ways([link("vmbr0", "bridge")], routes) == ("eth1", "eth2", "tun0", "vmbr0", "wg0")


@pytest.mark.parametrize("name", ["eth+", "e h", "!eth0", "a" * 16, ""])
def test_a_name_that_the_firewall_would_read_otherwise_is_left_out(name: str) -> None:
    assert ways([link(name)], [{"dst": "default", "dev": name}]) == ()


def test_a_node_without_networks_has_none() -> None:
    assert find(lambda *_: "", "cv1") == ()


@pytest.mark.parametrize("said", ["1: lo: <LOOPBACK>", "7", "{"])
def test_an_answer_that_cannot_be_read_is_an_error(said: str) -> None:
    with pytest.raises(NotIsolated, match="can't be read"):
        find(lambda *_: said, "cv1")
