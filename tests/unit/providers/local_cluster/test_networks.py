"""Subnets of agents, and what is removed of a bridge: our own, and nothing of others."""

import ipaddress
from pathlib import Path

import pytest

from environments.domain.errors import MachineError
from environments.providers.local_cluster.agents import networks
from environments.providers.local_cluster.agents.networks import (
    SUBNETS,
    bridge_name,
    claim,
    clusters_in,
    release,
    subnets_of,
    subnets_of_others,
)

HEADER = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"
OURS, THEIRS = "0aa1b2c3-0000-4000-8000-000000000001", "0aa1b2c3-0000-4000-8000-000000000002"


@pytest.fixture
def routes(tmp_path: Path) -> Path:
    file = tmp_path / "route"
    file.write_text(f"{HEADER}\n")
    return file


def folder(tmp_path: Path, name: str) -> Path:
    made = tmp_path / name
    made.mkdir()
    return made


def test_the_name_of_a_bridge_is_one_of_an_interface() -> None:
    assert len(bridge_name("0123abcd")) <= 15


def test_each_agent_has_a_subnet_of_its_own_and_keeps_it(tmp_path: Path, routes: Path) -> None:
    claims, agents = tmp_path / "claims", [folder(tmp_path, f"agent-{number}") for number in range(5)]
    chosen = [claim(agent, "", claims, routes) for agent in agents]
    assert len(set(chosen)) == 5
    assert [claim(agent, before, claims, routes) for agent, before in zip(agents, chosen, strict=True)] == chosen


def test_a_subnet_that_somebody_has_taken_meanwhile_is_not_used_again(tmp_path: Path, routes: Path) -> None:
    """After a start of the machine nobody's claim is there any more."""
    claims, first, second = tmp_path / "claims", folder(tmp_path, "first"), folder(tmp_path, "second")
    chosen = claim(first, "", claims, routes)
    release(first, claims)
    assert claim(second, chosen, claims, routes) == chosen
    assert claim(first, chosen, claims, routes) != chosen


def test_what_has_a_route_is_not_chosen_and_what_lost_its_agent_is(tmp_path: Path, routes: Path) -> None:
    claims, gone = tmp_path / "claims", folder(tmp_path, "gone")
    # 172.28.0.0/15 and all of 172.30.0.0/16 but its first subnet.
    taken = [ipaddress.ip_network("172.28.0.0/15"), *(one for one in SUBNETS if str(one).startswith("172.30."))][:-1]
    lines = [_route(one) for one in taken]
    routes.write_text("\n".join([HEADER, _route(ipaddress.ip_network("0.0.0.0/0")), *lines]))
    last = str(SUBNETS[-1])
    assert claim(gone, "", claims, routes) == last
    with pytest.raises(MachineError, match="No subnet is free"):
        claim(folder(tmp_path, "late"), "", claims, routes)
    gone.rmdir()
    assert claim(tmp_path / "late", "", claims, routes) == last


def test_nobody_else_enters_the_folder_of_the_claims_and_locks_it_for_ever(tmp_path: Path, routes: Path) -> None:
    claims, agent = tmp_path / "run" / "claims", folder(tmp_path, "agent")
    claim(agent, "", claims, routes)
    assert claims.stat().st_mode & 0o777 == 0o700
    claims.chmod(0o755)  # as earlier versions made it
    release(agent, claims)
    assert claims.stat().st_mode & 0o777 == 0o700


def test_a_claim_that_a_crash_has_cut_off_counts_for_nothing(tmp_path: Path, routes: Path) -> None:
    claims = tmp_path / "claims"
    claims.mkdir()
    for subnet in SUBNETS[:-1]:
        (claims / str(subnet).replace("/", "_")).touch()
    assert claim(folder(tmp_path, "agent"), str(SUBNETS[0]), claims, routes) == str(SUBNETS[0])


def test_what_an_agent_has_claimed_is_found_and_damaged_claims_count_for_nothing(tmp_path: Path, routes: Path) -> None:
    claims, agent = tmp_path / "claims", folder(tmp_path, "agent")
    assert subnets_of(agent, claims) == frozenset()
    own = claim(agent, "", claims, routes)
    for number, content in enumerate((b"", b"\xff\x00", b"/a\0b", str(agent).encode())):
        (claims / f"odd_{number}").write_bytes(content)
    (claims / "172.31.0.0_21" / "x").mkdir(parents=True)
    assert subnets_of(agent, claims) == {own}
    assert claim(agent, own, claims, routes) == own
    assert {path.name for path in claims.iterdir()} == {"lock", own.replace("/", "_")}


def test_to_look_at_claims_takes_none_away(tmp_path: Path) -> None:
    """The folder of another one may be on a disk that isn't mounted here."""
    claims, agent, other = (folder(tmp_path, name) for name in ("claims", "agent", "other"))
    away = claims / "172.30.0.0_21"
    away.write_text(str(tmp_path / "not mounted"))
    (claims / "172.30.8.0_21").write_text(str(other))
    assert subnets_of(agent, claims) == frozenset()
    assert subnets_of_others(agent, claims) == {"172.30.8.0/21"}
    release(agent, claims)
    assert away.exists()


def test_claims_that_this_user_can_not_see_are_none(tmp_path: Path) -> None:
    (tmp_path / "claims" / "lock" / "x").mkdir(parents=True)
    assert subnets_of(tmp_path, tmp_path / "claims") == frozenset()


def test_the_cluster_of_a_subnet_is_in_the_name_of_its_bridge(routes: Path) -> None:
    ours, other = SUBNETS[0], SUBNETS[1]
    lines = [_route(ours, "cv0123abcd"), _route(ours, "docker0"), _route(other, "cv4567abcd")]
    routes.write_text("\n".join([HEADER, *lines]))
    assert clusters_in({str(ours)}, routes) == {"0123abcd"}
    assert clusters_in(set(), routes) == frozenset()


def _route(network: ipaddress.IPv4Network | ipaddress.IPv6Network, interface: str = "some0") -> str:
    address, mask = (value.packed[::-1].hex().upper() for value in (network.network_address, network.netmask))
    return f"{interface}\t{address}\t00000000\t0001\t0\t0\t0\t{mask}\t0\t0\t0"


NAT = f"""\
-P POSTROUTING ACCEPT
-N CNI-1111111111111111111111ab
-N CNI-DN-11111111111111111111a
-N CNI-2222222222222222222222ab
-N CNI-DN-22222222222222222222a
-N CNI-HOSTPORT-DNAT
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A POSTROUTING -s 172.28.8.5/32 -m comment --comment "name: \\"nomad\\" id: \\"{OURS}\\"" -j CNI-1111111111111111111111ab
-A POSTROUTING -s 172.26.64.9/32 -m comment --comment "name: \\"nomad\\" id: \\"{THEIRS}\\"" -j CNI-2222222222222222222222ab
-A CNI-1111111111111111111111ab -d 172.28.8.0/21 -m comment --comment "name: \\"nomad\\" id: \\"{OURS}\\"" -j ACCEPT
-A CNI-DN-11111111111111111111a -p tcp -m tcp --dport 20001 -j DNAT --to-destination 172.28.8.5:8000
-A CNI-DN-22222222222222222222a -p tcp -m tcp --dport 20002 -j DNAT --to-destination 172.26.64.9:8000
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"nomad\\" id: \\"{OURS}\\"" -m multiport --dports 20001 -j CNI-DN-11111111111111111111a
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"nomad\\" id: \\"{THEIRS}\\"" -m multiport --dports 20002 -j CNI-DN-22222222222222222222a
"""  # noqa: E501 - as iptables writes it

FILTER = """\
-P FORWARD DROP
-N CNI-FORWARD
-N NOMAD-ADMIN
-A FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD
-A FORWARD -o docker0 -j DOCKER
-A CNI-FORWARD -m comment --comment "CNI firewall plugin admin overrides" -j NOMAD-ADMIN
-A CNI-FORWARD -d 172.28.8.5/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A CNI-FORWARD -s 172.26.64.9/32 -j ACCEPT
-A NOMAD-ADMIN -d 172.28.8.0/21 -o cv0123abcd -j ACCEPT
-A NOMAD-ADMIN -d 172.26.64.0/20 -o nomad -j ACCEPT
"""


OWN = (OURS, "172.28.8.", "cv0123abcd", "111111")
"""Each rule and chain of the groups of the bridge has one of these."""


def test_of_a_firewall_only_the_rules_of_its_groups_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases, results = folder(tmp_path, "leases"), folder(tmp_path, "results")
    (leases / "172.28.8.5").write_text(f"{OURS}\neth0")
    (leases / "172.26.64.9").write_text(f"{THEIRS}\neth0")
    (leases / "lock").touch()
    for one in (OURS, THEIRS):
        (results / f"nomad-{one}-eth0").touch()
    monkeypatch.setattr(networks, "_LEASES", leases)
    monkeypatch.setattr(networks, "_RESULTS", results)
    changes: list[str] = []

    def iptables(table: str, *arguments: str) -> str:
        if arguments == ("-S",):
            rules = NAT if table == "nat" else FILTER
            gone = OWN if any(change.startswith(table) for change in changes) else ()
            return "\n".join(line for line in rules.splitlines() if not any(word in line for word in gone))
        changes.append(" ".join([table, *arguments]))
        return ""

    monkeypatch.setattr(networks, "_iptables", iptables)
    networks.clear("cv0123abcd", "172.28.8.0/21", [])
    assert changes == [
        f'nat -D POSTROUTING -s 172.28.8.5/32 -m comment --comment name: "nomad" id: "{OURS}" '
        "-j CNI-1111111111111111111111ab",
        f'nat -D CNI-HOSTPORT-DNAT -p tcp -m comment --comment dnat name: "nomad" id: "{OURS}" -m multiport '
        "--dports 20001 -j CNI-DN-11111111111111111111a",
        "nat -F CNI-1111111111111111111111ab",
        "nat -X CNI-1111111111111111111111ab",
        "nat -F CNI-DN-11111111111111111111a",
        "nat -X CNI-DN-11111111111111111111a",
        "filter -D CNI-FORWARD -d 172.28.8.5/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "filter -D NOMAD-ADMIN -d 172.28.8.0/21 -o cv0123abcd -j ACCEPT",
    ]
    assert sorted(path.name for path in leases.iterdir()) == ["172.26.64.9", "lock"]
    assert [path.name for path in results.iterdir()] == [f"nomad-{THEIRS}-eth0"]


def test_a_rule_that_could_not_be_removed_or_comes_late_is_removed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "_LEASES", tmp_path)
    monkeypatch.setattr(networks, "_RESULTS", tmp_path)
    late = "-A NOMAD-ADMIN -d 172.28.8.0/21 -o cv0123abcd -j ACCEPT"
    listings = {"nat": iter(["", late]), "filter": iter([late, late])}
    changes: list[str] = []

    def iptables(table: str, *arguments: str) -> str:
        if arguments == ("-S",):
            return next(listings[table], "")
        changes.append(f"{table} {arguments[0]}")
        return ""

    monkeypatch.setattr(networks, "_iptables", iptables)
    networks.clear("cv0123abcd", "172.28.8.0/21", [])
    assert changes == ["filter -D", "nat -D", "filter -D"]


def test_rules_that_stay_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "_LEASES", tmp_path)
    monkeypatch.setattr(networks, "_iptables", lambda table, *arguments: FILTER if arguments == ("-S",) else "")
    monkeypatch.setattr(networks, "_SECONDS", 0.0)
    with pytest.raises(MachineError, match="keeps rules of the bridge cv0123abcd"):
        networks.clear("cv0123abcd", "172.28.8.0/21", [])
