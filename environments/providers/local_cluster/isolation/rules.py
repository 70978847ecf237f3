"""Allocations to rules of iptables, as text. Pure: `firewall` reads and writes the real ones.

The rules only ever drop packets, in the table `mangle`, which the kernel asks before the table `filter`. So they hold
whatever Docker, Nomad, the plugins of CNI or an administrator accept there, and allow nothing that those refuse.

Chains of one bridge, `CALV-<bridge>` and `CALV-<bridge>-<part>`:

    (none)  from a job to anything but the node itself
    JOBS    from a job to a job: by the address it comes from to the chain of its environment, `E1` and so on
    OUT     from a job to anything else, through an interface that leads out of the node; others are dropped
    IN      from a job to the node itself
    TO      from other machines, or other networks of the node, to a job

A packet whose source is not the address of a known allocation is dropped: until an allocation is known, it reaches
nothing. Jobs have no IPv6: all of it is dropped. It is dropped and not rejected, because only the table `filter` can
reject, and there rules of others may come first.

In the table `filter` the chain `CALV-<bridge>` refuses connections of a client that has too many to one port of the
node: only that table can refuse at once, and a kernel without these matches still isolates jobs.

In the table `nat` the chain `CALV-<bridge>` leads what jobs ask of a DNS server to the node's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import groupby, takewhile

from environments.node_firewall import TABLE
from environments.providers.local_cluster.isolation.model import Allocation, Destination, Network, Protocol

Chains = Mapping[str, Sequence[str]]
"""Rules of each chain, as `iptables-save` prints them behind the name of the chain."""

MANGLE, NAT, FILTER = TABLE, "nat", "filter"
_PREFIX = "CALV-"
_ANSWERS = "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"
_REPLIES = "-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j RETURN"
"""What a job sends to who has connected to it. What it connects to itself is asked about for each packet."""

METADATA = ("100.100.100.200/32", "168.63.129.16/32", "169.254.0.0/16", "192.0.0.192/32")
"""Where clouds tell a machine its secrets: the link-local network, and what some clouds use instead."""

MOST_CONNECTIONS = 256
"""Connections of one client to the limited port at a time."""

NEW_EACH_SECOND, NEW_AT_ONCE = 100, 500
"""Connections that one client may open there in a second, in the long run and all at once."""


@dataclass(frozen=True)
class Ruleset:
    """Chains of ours, and the rules of built-in chains that lead to them, which come first there."""

    chains: Chains
    hooks: Chains


def main_chain(network: Network) -> str:
    """The name of the first of our chains; those of the others start with it and a hyphen."""
    return f"{_PREFIX}{network.bridge}"


def is_ours(network: Network, chain: str) -> bool:
    """Whether a chain with this name belongs to this bridge."""
    return chain == main_chain(network) or chain.startswith(f"{main_chain(network)}-")


def rules(network: Network, allocations: Iterable[Allocation], ways_out: Sequence[str]) -> Ruleset:
    """The rules for IPv4. The same allocations give the same rules, in whichever order they come.

    `ways_out`: the interfaces that lead out of the node. Whatever else it has, leads to containers and virtual machines
    of others, or to jobs of other clusters of ours.
    """
    main, bridge = main_chain(network), network.bridge
    known = sorted(allocations, key=lambda each: (each.environment, each.address))
    chains = {
        # Between jobs, answers are no exception: an address may have had another environment when a flow began.
        main: [
            f"-o {bridge} -j {main}-JOBS",
            _REPLIES,
            *(f"-o {way} -g {main}-OUT" for way in ways_out),
            f"! -o {bridge} -j DROP",
        ],
        f"{main}-IN": [_ANSWERS, *(f"{_to(port)} -j RETURN" for port in _host_ports(network)), "-j DROP"],
        f"{main}-TO": [
            _ANSWERS,
            *(["-m conntrack --ctstate DNAT -j RETURN"] if network.published else []),
            "-j DROP",
        ],
    }
    jobs = chains[f"{main}-JOBS"] = []
    out = chains[f"{main}-OUT"] = [f"-d {place} -j DROP" for place in METADATA]
    for number, (_, group) in enumerate(groupby(known, key=lambda each: each.environment), start=1):
        members = list(group)
        own = f"{main}-E{number}"
        chains[own] = [*(f"-d {member.address}/32 -j RETURN" for member in members), "-j DROP"]
        jobs += [f"-s {member.address}/32 -g {own}" for member in members]
    for each in known:
        source = f"-s {each.address}/32"
        if each.outgoing is None:
            out.append(f"{source} -j RETURN")
        else:
            out += [f"{source} {_to(place)} -j RETURN" for place in each.outgoing]
    jobs.append("-j DROP")
    out.append("-j DROP")
    return Ruleset(chains, _hooks(network))


def rules_ipv6(network: Network) -> Ruleset:
    """The rules for IPv6: jobs have none."""
    main = main_chain(network)
    return Ruleset({main: ["-j DROP"], f"{main}-IN": ["-j DROP"], f"{main}-TO": ["-j DROP"]}, _hooks(network))


def rules_nat(network: Network) -> Ruleset:
    """The rules that lead jobs to the node's DNS server, where there is one."""
    dns = network.dns
    if dns is None:
        return Ruleset({}, {})
    main = main_chain(network)
    to = f"-j DNAT --to-destination {dns.address}:{dns.port}"
    return Ruleset(
        {
            main: [
                f"-d {server}/32 -p {protocol} -m {protocol} --dport 53 {to}"
                for server in (dns.gateway, *dns.resolvers)
                for protocol in _PROTOCOLS
            ]
        },
        {"PREROUTING": [f"-i {network.bridge} -j {main}"]},
    )


def rules_limit(network: Network, *, ipv6: bool = False) -> Ruleset:
    """The rules that limit one client's connections to a port; a client with IPv6 has a network of 64 bits.

    Programs of the machine itself share the addresses of loopback, so nothing is limited there: one of them could shut
    out all others.
    """
    if not network.limited_port:
        return Ruleset({}, {})
    main, name = main_chain(network), f"calv{'6' if ipv6 else ''}-{network.limited_port}"
    held = f"-m connlimit --connlimit-above {MOST_CONNECTIONS} --connlimit-mask {64 if ipv6 else 32} --connlimit-saddr"
    opened = (
        f"-m hashlimit --hashlimit-above {NEW_EACH_SECOND}/sec --hashlimit-burst {NEW_AT_ONCE} --hashlimit-mode srcip "
        f"--hashlimit-name {name}{' --hashlimit-srcmask 64' if ipv6 else ''}"
    )
    refused = "-j REJECT --reject-with tcp-reset"
    new = f"! -i lo -p tcp -m tcp --dport {network.limited_port} --tcp-flags FIN,SYN,RST,ACK SYN"
    return Ruleset({main: [f"-p tcp {limit} {refused}" for limit in (held, opened)]}, {"INPUT": [f"{new} -j {main}"]})


def _host_ports(network: Network) -> list[Destination]:
    """Those that jobs may use: the given ones, and the DNS server's, to which `rules_nat` has led its packets."""
    if (dns := network.dns) is None:
        return list(network.host_ports)
    server = IPv4Network(dns.address)
    return [*network.host_ports, *(Destination(p, server, dns.port, dns.port) for p in _PROTOCOLS)]


_PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp")


def _hooks(network: Network) -> dict[str, list[str]]:
    main, bridge = main_chain(network), network.bridge
    return {
        "INPUT": [f"-i {bridge} -j {main}-IN"],
        "FORWARD": [f"-i {bridge} -j {main}", f"! -i {bridge} -o {bridge} -j {main}-TO"],
    }


def _to(place: Destination) -> str:
    port = f"{place.first}" if place.first == place.last else f"{place.first}:{place.last}"
    to = "" if place.network.prefixlen == 0 else f"-d {place.network} "
    return f"{to}-p {place.protocol} -m {place.protocol} --dport {port}"


def parse(saved: str) -> dict[str, list[str]]:
    """What `iptables-save` printed of one table, with all its chains, those of others too."""
    chains: dict[str, list[str]] = {}
    for line in saved.splitlines():
        if line.startswith(":"):
            chains.setdefault(line[1:].split(" ", 1)[0], [])
        elif line.startswith("-A "):
            _, chain, rule = line.split(" ", 2)
            chains.setdefault(chain, []).append(rule)
    return chains


def change(network: Network, current: Chains, wanted: Ruleset | None, table: str = MANGLE) -> str:
    """What `iptables-restore --noflush` has to read for the wanted rules; None: for none of ours. Empty: nothing to do.

    It names no chain of others, and no rule of others in the built-in chains.
    """
    hooks = _NOTHING if wanted is None else wanted.hooks
    chains = _NOTHING if wanted is None else wanted.chains
    ours = {chain: list(found) for chain, found in current.items() if is_ours(network, chain)}
    moved = [line for chain in _BUILT_IN for line in _hook_lines(network, chain, current, hooks.get(chain, ()))]
    if not moved and ours == {chain: list(wanted_rules) for chain, wanted_rules in chains.items()}:
        return ""
    surplus = [chain for chain in ours if chain not in chains]
    lines = [
        f"*{table}",
        *(f":{chain} - [0:0]" for chain in chains),  # makes the chain, or empties it
        *(f"-A {chain} {rule}" for chain, found in chains.items() for rule in found),
        *moved,
        *(f"-F {chain}" for chain in surplus),
        *(f"-X {chain}" for chain in surplus),
        "COMMIT",
    ]
    return "\n".join(lines) + "\n"


_NOTHING: Chains = {}
_BUILT_IN = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")


def _hook_lines(network: Network, chain: str, current: Chains, wanted: Sequence[str]) -> list[str]:
    """Puts our rules first in a built-in chain; those of our other bridges may stand before them."""
    found = current.get(chain, ())
    leading = list(takewhile(lambda rule: _target(rule).startswith(_PREFIX), found))
    present = [rule for rule in found if is_ours(network, _target(rule))]
    if present == list(wanted) and all(rule in leading for rule in wanted):
        return []
    return [
        *(f"-D {chain} {rule}" for rule in present),
        *(f"-I {chain} {number} {rule}" for number, rule in enumerate(wanted, start=1)),
    ]


def _target(rule: str) -> str:
    """The chain that a rule leads to, or what it does."""
    words = rule.split()
    return words[-1] if len(words) > 1 and words[-2] in ("-j", "-g") else ""
