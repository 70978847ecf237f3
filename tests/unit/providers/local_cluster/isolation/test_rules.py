"""What the rules let through, and what they leave alone."""

import json
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.domain.errors import InvalidInput
from environments.node_firewall import NotIsolated
from environments.providers.local_cluster.isolation.firewall import Firewall
from environments.providers.local_cluster.isolation.model import (
    Allocation,
    DnsServer,
    Network,
    parse_destination,
    parse_outgoing,
)
from environments.providers.local_cluster.isolation.records import Records, Settings
from environments.providers.local_cluster.isolation.rules import (
    FILTER,
    METADATA,
    MOST_CONNECTIONS,
    change,
    parse,
    rules,
    rules_limit,
)
from tests.fakes.iptables import BUILT_IN, Iptables, Packet

BRIDGE = "nomad"
NETWORK = Network(BRIDGE)
NAMED = Network(
    BRIDGE,
    dns=DnsServer(IPv4Address("172.26.64.1"), IPv4Address("127.0.0.10"), 8600, (IPv4Address("198.51.100.7"),)),
)


def _id(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def _allocation(number: int, environment: str, outgoing: str = "all") -> Allocation:
    return Allocation(_id(number), environment, IPv4Address(f"172.26.64.{number}"), parse_outgoing(outgoing))


ONE, TWO, OTHER = _allocation(2, "blue"), _allocation(3, "blue"), _allocation(4, "green")


def _applied(*allocations: Allocation, network: Network = NETWORK) -> Iptables:
    iptables = Iptables()
    Firewall(iptables.run, ipv6=True).apply(network, allocations)
    return iptables


def _between(source: Allocation, destination: Allocation) -> Packet:
    return Packet(str(source.address), str(destination.address), BRIDGE, BRIDGE)


@given(st.lists(st.sampled_from(["blue", "green", "red", "blue-2"]), min_size=1, max_size=12))
def test_jobs_reach_those_of_their_own_environment_and_no_others(environments: list[str]) -> None:
    allocations = [_allocation(number, environment) for number, environment in enumerate(environments, start=2)]
    iptables = _applied(*allocations)
    for one in allocations:
        for another in allocations:
            assert iptables.passes(_between(one, another)) is (one.environment == another.environment)


def test_answers_to_accepted_connections_come_through_everywhere() -> None:
    nowhere = _allocation(5, "blue", "none")
    iptables = _applied(ONE, nowhere)
    for packet in (
        Packet(str(nowhere.address), "192.0.2.1", BRIDGE, "eth0", state="ESTABLISHED", direction="REPLY"),
        Packet(str(ONE.address), "127.0.0.1", BRIDGE, state="ESTABLISHED", direction="REPLY"),
        Packet("192.0.2.1", str(ONE.address), "eth0", BRIDGE, state="ESTABLISHED", direction="REPLY"),
    ):
        assert iptables.passes(packet)


def test_a_flow_that_another_job_began_at_the_same_address_goes_nowhere_that_the_new_one_may_not() -> None:
    """The kernel remembers a flow longer than an allocation may live, and CNI gives its address to the next one."""
    nowhere = _allocation(5, "blue", "none")
    iptables = _applied(ONE, OTHER, nowhere)
    for direction in ("ORIGINAL", "REPLY"):
        for source, target in ((ONE, OTHER), (OTHER, ONE)):
            between = Packet(
                str(source.address), str(target.address), BRIDGE, BRIDGE, "udp", 53, "ESTABLISHED", direction
            )
            assert not iptables.passes(between)
    assert not iptables.passes(Packet(str(nowhere.address), "192.0.2.1", BRIDGE, "eth0", state="ESTABLISHED"))


def test_what_is_not_known_reaches_nothing() -> None:
    """Neither neighbours nor anything else: until it is recorded, and with an address that isn't its own."""
    iptables = _applied(ONE)
    for destination, leaves in (
        (str(ONE.address), BRIDGE),
        (str(TWO.address), BRIDGE),
        ("198.51.100.1", "eth0"),
        ("172.26.64.1", ""),
    ):
        assert not iptables.passes(Packet(str(TWO.address), destination, BRIDGE, leaves))


@pytest.mark.parametrize("address", ["169.254.169.254", "169.254.170.2", *(place.split("/")[0] for place in METADATA)])
def test_no_job_reaches_the_metadata_of_a_cloud(address: str) -> None:
    listed = _allocation(9, "blue", "tcp:0.0.0.0/0:80")
    iptables = _applied(ONE, listed)
    for source in (ONE, listed):
        assert not iptables.passes(Packet(str(source.address), address, BRIDGE, "eth0"))


OTHERS_LINKS = ("docker0", "br-1a2b", "vmbr0", "wg0", "tun0", "cv0", "veth1", "my.bridge", "lo", "eth0x")
"""Interfaces to containers, virtual machines and private networks, by whichever names."""


@pytest.mark.parametrize("link", OTHERS_LINKS)
def test_no_job_reaches_what_is_behind_other_interfaces_of_its_node(link: str) -> None:
    everywhere = _allocation(9, "blue", "tcp:0.0.0.0/0:80")
    iptables = _applied(ONE, everywhere)
    for source in (ONE, everywhere):
        assert iptables.passes(Packet(str(source.address), "172.17.0.2", BRIDGE, "eth0"))
        assert not iptables.passes(Packet(str(source.address), "172.17.0.2", BRIDGE, link))


def test_a_job_goes_through_the_interfaces_that_lead_out_and_its_rules_follow_them() -> None:
    iptables = _applied(ONE)
    iptables.routes = []
    out = Packet(str(ONE.address), "203.0.113.1", BRIDGE, "eth0")
    firewall = Firewall(iptables.run, ipv6=True)
    assert firewall.apply(NETWORK, [ONE])
    assert not iptables.passes(out)
    assert iptables.passes(_between(ONE, ONE))
    iptables.routes = [{"dst": "default", "dev": "ppp0"}]
    iptables.links = [{"ifname": "eth0", "link_type": "ether"}]
    assert firewall.apply(NETWORK, [ONE])
    for way in ("eth0", "ppp0"):
        assert iptables.passes(Packet(str(ONE.address), "203.0.113.1", BRIDGE, way))
        assert not iptables.passes(Packet(str(ONE.address), "169.254.169.254", BRIDGE, way))
        assert not iptables.passes(Packet(str(TWO.address), "203.0.113.1", BRIDGE, way))
    assert not firewall.apply(NETWORK, [ONE])


def test_no_job_reaches_its_node_except_for_the_ports_that_are_given() -> None:
    network = Network(BRIDGE, (parse_destination("udp:172.26.64.1:53"),))
    iptables = _applied(ONE, network=network)
    source = str(ONE.address)
    assert iptables.passes(Packet(source, "172.26.64.1", BRIDGE, protocol="udp", port=53))
    for packet in (
        Packet(source, "172.26.64.1", BRIDGE, protocol="tcp", port=53),
        Packet(source, "172.26.64.1", BRIDGE, protocol="udp", port=54),
        Packet(source, "192.0.2.7", BRIDGE, protocol="udp", port=53),
        Packet(source, "127.0.0.1", BRIDGE, port=4646),
    ):
        assert not iptables.passes(packet)


def test_jobs_ask_the_dns_server_of_their_node_and_reach_nothing_else_beside_it() -> None:
    """The rules of `nat` come first, so the rules for the node itself see the server's own address and port."""
    iptables = _applied(ONE, network=NAMED)
    source = str(ONE.address)
    for protocol in ("tcp", "udp"):
        assert iptables.passes(Packet(source, "127.0.0.10", BRIDGE, protocol=protocol, port=8600))
        for address, port in (("127.0.0.10", 8500), ("127.0.0.1", 8600), ("172.26.64.1", 53)):
            assert not iptables.passes(Packet(source, address, BRIDGE, protocol=protocol, port=port))
    to = "-j DNAT --to-destination 127.0.0.10:8600"
    assert iptables.nat["PREROUTING"] == ["-i nomad -j CALV-nomad"]
    assert iptables.nat["CALV-nomad"] == [
        f"-d 172.26.64.1/32 -p tcp -m tcp --dport 53 {to}",
        f"-d 172.26.64.1/32 -p udp -m udp --dport 53 {to}",
        f"-d 198.51.100.7/32 -p tcp -m tcp --dport 53 {to}",
        f"-d 198.51.100.7/32 -p udp -m udp --dport 53 {to}",
    ]
    firewall = Firewall(iptables.run, ipv6=True)
    assert not firewall.apply(NAMED, [ONE])
    assert firewall.apply(NETWORK, [ONE])
    assert iptables.nat == {chain: [] for chain in BUILT_IN}
    firewall.apply(NAMED, [ONE])
    firewall.remove(NAMED)
    assert iptables.nat == {chain: [] for chain in BUILT_IN}


def test_outgoing_connections_go_where_the_job_says() -> None:
    nowhere = _allocation(5, "blue", "none")
    listed = _allocation(6, "blue", "tcp:198.51.100.0/24:443,udp:203.0.113.7:5000-5002")
    iptables = _applied(ONE, nowhere, listed)

    def reaches(source: Allocation, address: str, protocol: str, port: int) -> bool:
        return iptables.passes(Packet(str(source.address), address, BRIDGE, "eth0", protocol, port))

    assert reaches(ONE, "198.51.100.9", "tcp", 443)
    assert not reaches(nowhere, "198.51.100.9", "tcp", 443)
    assert reaches(listed, "198.51.100.9", "tcp", 443)
    assert reaches(listed, "203.0.113.7", "udp", 5002)
    assert not reaches(listed, "198.51.100.9", "udp", 443)
    assert not reaches(listed, "198.51.100.9", "tcp", 80)
    assert not reaches(listed, "203.0.113.7", "udp", 5003)
    assert not reaches(listed, "203.0.113.8", "udp", 5000)
    assert iptables.passes(_between(nowhere, ONE))
    assert iptables.passes(_between(listed, nowhere))


def test_other_machines_reach_published_ports_only_where_that_is_wanted() -> None:
    direct = Packet("192.0.2.1", str(ONE.address), "eth0", BRIDGE)
    published = Packet("192.0.2.1", str(ONE.address), "eth0", BRIDGE, state="DNAT")
    assert [_applied(ONE).passes(packet) for packet in (direct, published)] == [False, False]
    public = Network(BRIDGE, published=True)
    assert [_applied(ONE, network=public).passes(packet) for packet in (direct, published)] == [False, True]


def test_traffic_of_others_meets_no_rule() -> None:
    iptables = _applied(ONE)
    assert iptables.passes(Packet("172.17.0.2", "169.254.169.254", "docker0", "eth0"))
    assert iptables.passes(Packet("192.0.2.1", "192.0.2.2", "eth0"))


def test_ipv6_is_dropped() -> None:
    table = _applied(ONE).tables["ip6tables"]
    assert table["CALV-nomad"] == table["CALV-nomad-IN"] == table["CALV-nomad-TO"] == ["-j DROP"]
    assert table["FORWARD"] == ["-i nomad -j CALV-nomad", "! -i nomad -o nomad -j CALV-nomad-TO"]
    assert table["INPUT"] == ["-i nomad -j CALV-nomad-IN"]


def test_the_same_allocations_in_any_order_change_nothing() -> None:
    iptables = _applied(ONE, TWO, OTHER)
    before = iptables.save("iptables")
    assert not Firewall(iptables.run, ipv6=True).apply(NETWORK, [OTHER, TWO, ONE])
    assert iptables.save("iptables") == before


def test_every_table_is_written_in_one_step() -> None:
    iptables = _applied(ONE, TWO, network=NAMED)
    assert [(command[0], command[-1]) for command in iptables.calls] == [
        ("ip6tables-save", "mangle"),
        ("ip6tables-restore", "mangle"),
        ("iptables-save", "nat"),
        ("iptables-restore", "nat"),
        ("iptables-save", "mangle"),
        ("iptables-restore", "mangle"),
    ]


def test_chains_of_environments_that_ended_go() -> None:
    iptables = _applied(ONE, OTHER)
    assert Firewall(iptables.run, ipv6=True).apply(NETWORK, [OTHER])
    assert "CALV-nomad-E2" not in iptables.tables["iptables"]
    assert not iptables.passes(_between(ONE, OTHER))
    assert iptables.passes(_between(OTHER, OTHER))


OTHERS = [
    "*mangle",
    ":FORWARD ACCEPT [0:0]",
    ":CALV-nomad2 - [0:0]",
    ":CALVIN - [0:0]",
    "-A FORWARD -i nomad2 -j CALV-nomad2",
    "-A FORWARD -i nomad -j ACCEPT",
    "-A FORWARD -i wg0 -j CALVIN",
    "-A CALVIN -j RETURN",
    "-A CALV-nomad2 -j DROP",
]


def _with_others() -> Iptables:
    iptables = Iptables()
    iptables.run(["iptables-restore", "--noflush"], "\n".join(OTHERS).replace(":FORWARD ACCEPT [0:0]\n", ""))
    return iptables


def test_rules_of_others_and_of_our_other_bridges_stay_as_they_are() -> None:
    iptables = _with_others()
    before = iptables.save("iptables")
    firewall = Firewall(iptables.run, ipv6=True)
    firewall.apply(NETWORK, [ONE, OTHER])
    left = {
        chain: [rule for rule in found if not rule.endswith(("CALV-nomad", "CALV-nomad-TO", "CALV-nomad-IN"))]
        for chain, found in iptables.tables["iptables"].items()
        if not (chain == "CALV-nomad" or chain.startswith("CALV-nomad-"))
    }
    assert left == parse(before)
    firewall.remove(NETWORK)
    assert iptables.save("iptables") == before
    firewall.remove(NETWORK)
    assert iptables.save("iptables") == before


def test_our_rules_come_before_what_others_accept() -> None:
    iptables = _with_others()
    firewall = Firewall(iptables.run, ipv6=True)
    firewall.apply(NETWORK, [ONE])
    table = iptables.tables["iptables"]["FORWARD"]
    assert table.index("-i nomad -j CALV-nomad") < table.index("-i nomad -j ACCEPT")
    assert not firewall.apply(NETWORK, [ONE]), "behind the rules of another bridge of ours is early enough"
    table.insert(0, "-j ACCEPT")
    assert firewall.apply(NETWORK, [ONE])
    assert table != iptables.tables["iptables"]["FORWARD"]
    assert iptables.tables["iptables"]["FORWARD"].index("-j ACCEPT") > 1


@pytest.mark.parametrize("chain", ["INPUT", "FORWARD", "CALV-nomad-JOBS", "CALV-nomad-E1", "CALV-nomad-OUT"])
def test_rules_that_somebody_removed_or_doubled_are_put_right(chain: str) -> None:
    iptables = _applied(ONE, OTHER)
    before = iptables.save("iptables")
    firewall = Firewall(iptables.run, ipv6=True)
    for spoiled in ([], iptables.tables["iptables"][chain] * 2):
        iptables.tables["iptables"][chain][:] = spoiled
        assert firewall.apply(NETWORK, [ONE, OTHER])
        assert iptables.save("iptables") == before


def test_a_write_that_collides_with_another_is_made_again() -> None:
    iptables = _applied(ONE)

    def flush() -> None:
        for chain in BUILT_IN:
            iptables.tables["iptables"][chain].clear()
        iptables.disturb = lambda: None

    iptables.tables["iptables"]["FORWARD"].insert(0, "-j ACCEPT")
    iptables.disturb = flush
    assert Firewall(iptables.run, ipv6=False).apply(NETWORK, [ONE])
    assert iptables.tables["iptables"]["FORWARD"][0] == "-i nomad -j CALV-nomad"


def test_a_write_that_always_fails_is_an_error() -> None:
    def run(command: list[str] | tuple[str, ...], text: str) -> str:
        return iptables.run(command, text.replace("COMMIT", "-D FORWARD -j NOTHING") if text else text)

    iptables = Iptables()
    with pytest.raises(NotIsolated, match="iptables-restore failed"):
        Firewall(run, ipv6=False).apply(NETWORK, [ONE])  # type: ignore[arg-type]


def test_nothing_is_written_for_what_is_not_there() -> None:
    assert change(NETWORK, {chain: [] for chain in BUILT_IN}, None) == ""


def test_names_of_chains_fit() -> None:
    longest = Network("abcdefghijklmno")
    many = [_allocation(number, f"e{number}") for number in range(2, 200)]
    assert max(len(chain) for chain in rules(longest, many, ["eth0"]).chains) <= 28


@pytest.mark.parametrize("name", ["", "Nomad", "nomad-1", "a" * 16, "nomad ", "-nomad", "1nomad"])
def test_bridges_whose_chains_could_be_taken_for_others_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        Network(name)


@pytest.mark.parametrize("text", ["all", "none", "tcp:192.0.2.0/24:443", "udp:0.0.0.0/0:1-65535"])
def test_outgoing_connections_as_they_are_written(text: str) -> None:
    outgoing = parse_outgoing(text)
    if outgoing:
        assert ",".join(str(place) for place in outgoing) == text
    else:
        assert outgoing == {"all": None, "none": ()}[text]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ALL",
        "none,none",
        "tcp:192.0.2.1:0",
        "tcp:192.0.2.1:9-8",
        "tcp:192.0.2.1:65536",
        "tcp:192.0.2.1/24:80",
        "icmp:192.0.2.1:1",
        "tcp:example.org:80",
        "tcp:192.0.2.1:80 -j ACCEPT",
        "tcp:192.0.2.1:80\n-F",
        "tcp:::1:80",
        ",".join(["tcp:192.0.2.1:80"] * 101),
    ],
)
def test_outgoing_connections_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_outgoing(text)


@pytest.mark.parametrize(("ipv6", "mask"), [(False, 32), (True, 64)])
def test_one_client_is_refused_more_connections_to_the_limited_port_and_to_no_other(ipv6: bool, mask: int) -> None:
    limited = Network(BRIDGE, limited_port=8443)
    found = rules_limit(limited, ipv6=ipv6)
    assert found.hooks == {
        "INPUT": ["! -i lo -p tcp -m tcp --dport 8443 --tcp-flags FIN,SYN,RST,ACK SYN -j CALV-nomad"],
    }
    held, opened = found.chains["CALV-nomad"]
    assert f"--connlimit-above {MOST_CONNECTIONS} --connlimit-mask {mask} --connlimit-saddr" in held
    assert "-m hashlimit" in opened
    assert all(rule.endswith("-j REJECT --reject-with tcp-reset") for rule in (held, opened))


def test_limits_go_with_the_port_and_leave_the_rules_of_others() -> None:
    """Written once, changed with the port, removed without one; and nothing of them is in the table for jobs."""
    others = {"INPUT": ["-i eth0 -j ACCEPT"], "FORWARD": ["-j DOCKER-USER"], "DOCKER-USER": ["-j RETURN"]}
    for before, after in ((8443, 9443), (8443, 0), (0, 8443)):
        old, new = Network(BRIDGE, limited_port=before), Network(BRIDGE, limited_port=after)
        limits = rules_limit(old)
        current = {**others, "INPUT": [*limits.hooks.get("INPUT", ()), *others["INPUT"]], **limits.chains}
        text = change(new, current, rules_limit(new), FILTER)
        assert text.startswith("*filter\n")
        assert (f"--dport {after} " in text.replace("-D INPUT", "")) == bool(after)
        assert (f"-D INPUT ! -i lo -p tcp -m tcp --dport {before}" in text) == bool(before)
        assert "DOCKER" not in text
        assert "eth0" not in text
        assert change(old, current, rules_limit(old), FILTER) == ""
    assert "connlimit" not in str(rules(Network(BRIDGE, limited_port=8443), [ONE], []).chains)


def test_limits_are_kept_with_the_records_of_the_node(tmp_path: Path) -> None:
    records = Records(tmp_path)
    for limited in (Network(BRIDGE, limited_port=8443), NETWORK):
        records.write_settings(Settings(limited, Path("/cni/firewall")))
        assert records.settings().network == limited
    older = json.loads(records.settings_file.read_text())
    del older["limited_port"]
    records.settings_file.write_text(json.dumps(older))
    assert records.settings().network == NETWORK
