"""What CNI's plugin takes from Nomad, what it keeps, and what it refuses."""

from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from environments.domain.errors import CalvinverseError, InvalidInput, MachineError
from environments.node_firewall import Lack, NotIsolated, Reason
from environments.providers.local_cluster.isolation import keeping, plugin
from environments.providers.local_cluster.isolation.firewall import Firewall
from environments.providers.local_cluster.isolation.model import (
    Allocation,
    DnsServer,
    Network,
    parse_destination,
    parse_outgoing,
)
from environments.providers.local_cluster.isolation.plugin import allocation, arguments, connect, disconnect, with_dns
from environments.providers.local_cluster.isolation.records import Records, Settings
from tests.fakes.iptables import Iptables, Packet

NETWORK = Network("nomad", (parse_destination("udp:172.26.64.1:53"),))
FIRST, SECOND = "3395205e-44ee-2e50-1c53-016906f9864d", "ea786c6d-8b16-9e13-ad72-16ae1137f7e4"


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Records:
    monkeypatch.setattr(plugin, "bridge_lack", lambda: None)
    records = Records(tmp_path / "isolation")
    records.write_settings(Settings(NETWORK, Path("/usr/lib/cni/firewall")))
    return records


def _environment(container: str, namespace: str, **more: str) -> dict[str, str]:
    given = {"IgnoreUnknown": "true", "NOMAD_ALLOC_ID": container, "NOMAD_NAMESPACE": namespace, **more}
    return {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": container,
        "CNI_ARGS": ";".join(f"{key}={value}" for key, value in given.items()),
    }


def _config(address: str, bridge: str = "nomad") -> dict[str, Any]:
    """What Nomad 1.10.5 gives to the plugin behind `bridge`, but for what doesn't matter here."""
    interfaces = [{"name": bridge}, {"name": "veth1"}, {"name": "eth0", "sandbox": "/var/run/docker/netns/1"}]
    return {
        "cniVersion": "0.4.0",
        "name": "nomad",
        "type": "firewall",
        "prevResult": {
            "interfaces": interfaces,
            "ips": [{"version": "4", "interface": 2, "address": f"{address}/20", "gateway": "172.26.64.1"}],
        },
    }


def test_an_allocation_is_recorded_and_its_rules_stand_before_its_tasks_start(records: Records) -> None:
    iptables = Iptables()
    firewall = Firewall(iptables.run, ipv6=True)
    connect(records, firewall, _environment(FIRST, "blue"), _config("172.26.64.2"))
    connect(records, firewall, _environment(SECOND, "green", CALVINVERSE_OUTGOING="none"), _config("172.26.64.3"))
    assert list(records.allocations()) == [
        Allocation(FIRST, "blue", IPv4Address("172.26.64.2")),
        Allocation(SECOND, "green", IPv4Address("172.26.64.3"), ()),
    ]
    assert iptables.passes(Packet("172.26.64.2", "198.51.100.1", "nomad", "eth0"))
    assert not iptables.passes(Packet("172.26.64.3", "198.51.100.1", "nomad", "eth0"))
    assert not iptables.passes(Packet("172.26.64.2", "172.26.64.3", "nomad", "nomad"))
    bridge = ("ip", "link", "set", "dev", "nomad", "type", "bridge")
    assert iptables.calls[-1] == (*bridge, "nf_call_iptables", "1", "nf_call_ip6tables", "1")


def test_an_allocation_that_ends_is_forgotten_by_its_id_alone(records: Records) -> None:
    """After a restart Nomad's client tells no namespace."""
    iptables = Iptables()
    firewall = Firewall(iptables.run, ipv6=True)
    connect(records, firewall, _environment(FIRST, "blue"), _config("172.26.64.2"))
    disconnect(records, firewall, FIRST)
    assert list(records.allocations()) == []
    assert not iptables.passes(Packet("172.26.64.2", "198.51.100.1", "nomad", "eth0"))
    disconnect(records, firewall, FIRST)


def test_an_address_belongs_to_the_allocation_that_got_it_last(records: Records) -> None:
    """Records of allocations may be left from before a crash of the machine."""
    firewall = Firewall(Iptables().run, ipv6=True)
    connect(records, firewall, _environment(FIRST, "blue"), _config("172.26.64.2"))
    connect(records, firewall, _environment(SECOND, "green"), _config("172.26.64.2"))
    assert list(records.allocations()) == [Allocation(SECOND, "green", IPv4Address("172.26.64.2"))]
    connect(records, firewall, _environment(SECOND, "green"), _config("172.26.64.9"))
    assert list(records.allocations()) == [Allocation(SECOND, "green", IPv4Address("172.26.64.9"))]


@pytest.mark.parametrize(
    ("environment", "config", "said"),
    [
        (_environment(FIRST, ""), _config("172.26.64.2"), "which allocation this is"),
        (_environment(FIRST, "blue") | {"CNI_ARGS": ""}, _config("172.26.64.2"), "which allocation this is"),
        (_environment(FIRST, "blue") | {"CNI_CONTAINERID": SECOND}, _config("172.26.64.2"), "which allocation this is"),
        (_environment(FIRST, "blue", X="1;NOMAD_NAMESPACE=green"), _config("172.26.64.2"), "'NOMAD_NAMESPACE' of CNI"),
        (_environment(FIRST, "blue", CALVINVERSE_OUTGOINGS="none"), _config("172.26.64.2"), "'CALVINVERSE_OUTGOINGS'"),
        (_environment(FIRST, "blue", CALVINVERSE_OUTGOING="no"), _config("172.26.64.2"), "'no' is no destination"),
        (_environment(FIRST, "blue"), _config("172.26.64.2", "docker0"), "on the bridge 'nomad'"),
        (_environment(FIRST, "blue"), {"cniVersion": "0.4.0"}, "can't be read"),
        (_environment(FIRST, "blue"), [], "can't be read"),
        (_environment("../etc", "blue"), _config("172.26.64.2"), "no id of an allocation"),
    ],
)
def test_an_allocation_that_cannot_be_placed_does_not_start(
    records: Records, environment: dict[str, str], config: Any, said: str
) -> None:
    iptables = Iptables()
    with pytest.raises(CalvinverseError, match=said):
        connect(records, Firewall(iptables.run, ipv6=True), environment, config)
    assert iptables.calls == []
    assert list(records.allocations()) == []


def test_nothing_starts_where_the_firewall_does_not_see_the_bridge(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    lack = Lack(Reason.NO_BRIDGE_NETFILTER, "It isn't loaded.", "Load it.")
    monkeypatch.setattr(plugin, "bridge_lack", lambda: lack)
    with pytest.raises(NotIsolated) as error:
        connect(records, Firewall(Iptables().run), _environment(FIRST, "blue"), _config("172.26.64.2"))
    assert error.value.lack is lack
    assert error.value.hint == "Load it."


def test_ipv6_addresses_are_passed_over() -> None:
    config = _config("172.26.64.2")
    config["prevResult"]["ips"].append({"version": "6", "address": "fd00::2/64"})
    given = arguments(_environment(FIRST, "blue")["CNI_ARGS"])
    assert allocation(NETWORK, given, FIRST, config).address == IPv4Address("172.26.64.2")


def test_arguments_that_come_twice_are_refused() -> None:
    assert arguments("") == {}
    assert arguments("a=1;b=x=y") == {"a": "1", "b": "x=y"}
    with pytest.raises(InvalidInput):
        arguments("a=1;a=1")


def test_what_is_recorded_is_read_again(records: Records) -> None:
    settings = Settings(Network("calv0", NETWORK.host_ports, published=True), Path("/opt/cni/bin/firewall"))
    records.write_settings(settings)
    assert Records(records.folder).settings() == settings
    new = Allocation(FIRST, "blue", IPv4Address("172.26.64.2"), parse_outgoing("tcp:192.0.2.0/24:1-9,udp:192.0.2.1:53"))
    records.add(new)
    assert list(Records(records.folder).allocations()) == [new]
    assert records.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": "x"}', '{"id": 1, "environment": "a", "address": "no"}'])
def test_a_record_that_cannot_be_read_opens_nothing(records: Records, text: str) -> None:
    records.add(Allocation(FIRST, "blue", IPv4Address("172.26.64.2")))
    (records.folder / "allocations" / FIRST).write_text(text)
    (records.folder / "allocations" / ".draft").write_text("{}")
    assert list(records.allocations()) == []


@pytest.mark.parametrize(
    "dns",
    [None, DnsServer(IPv4Address("172.26.64.1"), IPv4Address("127.0.0.10"), 53, (IPv4Address("198.51.100.7"),))],
)
def test_tasks_ask_the_dns_server_if_the_bridge_has_one(records: Records, dns: DnsServer | None) -> None:
    """It is kept with the other settings, and told to Nomad in what CNI's plugin prints."""
    network = Network("nomad", dns=dns)
    records.write_settings(Settings(network, Path("/usr/lib/cni/firewall")))
    assert records.settings().network == network
    config = _config("172.26.64.2")
    told = {"dns": {"nameservers": ["172.26.64.1"]}} if dns else {}
    assert with_dns(network, config) == {**config, "prevResult": {**config["prevResult"], **told}}


def test_settings_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"network\.json can't be read"):
        Records(tmp_path).settings()


def test_rules_are_renewed_until_they_are_switched_off_and_each_failure_is_said_once(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes: list[Callable[[], bool]] = []

    def fail() -> bool:
        raise MachineError("It doesn't work.")

    outcomes += [lambda: False, fail, fail, lambda: True, fail]
    monkeypatch.setattr(keeping, "renew", lambda folder: outcomes.pop(0)())
    monkeypatch.setattr(keeping, "limit", lambda folder: False)
    said: list[str] = []

    def pause(seconds: float) -> None:
        if not outcomes:
            records.settings_file.unlink()

    keeping.keep(records.folder, pause, said.append)
    failure, renewed = "The rules can't be renewed: It doesn't work.", "The rules were not as they should be; "
    assert [line.startswith(start) for line, start in zip(said, (failure, renewed, failure), strict=True)] == [True] * 3
