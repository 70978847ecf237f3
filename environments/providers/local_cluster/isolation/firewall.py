"""Reads and writes the rules on this node with iptables.

It has to run as root in the network namespace of the node, as Nomad's client does; the service does neither.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from environments.node_firewall import IPV6, Lack, NotIsolated, Reason, run_program
from environments.providers.local_cluster.isolation import ways_out
from environments.providers.local_cluster.isolation.model import Allocation, Network
from environments.providers.local_cluster.isolation.rules import (
    FILTER,
    MANGLE,
    NAT,
    Ruleset,
    change,
    parse,
    rules,
    rules_ipv6,
    rules_limit,
    rules_nat,
)

_ATTEMPTS = 3
"""Somebody else may change the built-in chains between our reading and our writing; the write then fails as a whole."""

_INTERFACES = Path("/proc/sys/net/ipv4/conf")

Run = Callable[[Sequence[str], str], str]
"""Runs a program with that input, and gives what it printed. Raises `NotIsolated`."""


class Firewall:
    """The rules of this node."""

    def __init__(self, run: Run | None = None, *, ipv6: bool | None = None) -> None:
        self._run = run or run_program
        self._ipv6 = IPV6.exists() if ipv6 is None else ipv6

    def apply(self, network: Network, allocations: Iterable[Allocation]) -> bool:
        """Makes the rules those of these allocations, in one step for each table; returns whether any changed.

        Raises `NotIsolated`. The rules that depend on no allocation come first.
        """
        ways = ways_out.find(self._run, network.bridge)
        changed = [
            self._ipv6 and self._set("ip6tables", MANGLE, network, rules_ipv6(network)),
            self._set("iptables", NAT, network, rules_nat(network)),
            self._set("iptables", MANGLE, network, rules(network, allocations, ways)),
        ]
        return any(changed)

    def limit(self, network: Network) -> bool:
        """Limits the connections of one client to the network's limited port; returns whether any rule changed.

        Raises `NotIsolated` where the kernel can't do it.
        """
        changed = [
            self._ipv6 and self._set("ip6tables", FILTER, network, rules_limit(network, ipv6=True)),
            self._set("iptables", FILTER, network, rules_limit(network)),
        ]
        return any(changed)

    def filter_bridge(self, network: Network) -> None:
        """Lets the rules see what the bridge carries from job to job, on this bridge alone. Raises `NotIsolated`.

        The switch for all bridges (`net.bridge.bridge-nf-call-iptables`) may be off, and stays as it is. A DNS
        server on loopback is reached through the bridge only with `route_localnet`, which CNI's plugin `portmap`
        switches on as well.
        """
        words = ("nf_call_iptables", "1", "nf_call_ip6tables", "1")
        self._run(("ip", "link", "set", "dev", network.bridge, "type", "bridge", *words), "")
        if network.dns is not None:
            try:
                (_INTERFACES / network.bridge / "route_localnet").write_text("1")
            except OSError as error:
                said = f"The bridge {network.bridge} can't lead to the node's loopback: {error.strerror}."
                raise NotIsolated(Lack(Reason.REFUSED, said, "Start the agents as root.")) from error

    def remove(self, network: Network) -> None:
        """Removes our rules and chains of this bridge, and nothing else. Raises `NotIsolated`."""
        for table in (FILTER, MANGLE) if self._ipv6 else ():
            self._set("ip6tables", table, network, None)
        for table in (FILTER, NAT, MANGLE):
            self._set("iptables", table, network, None)

    def _set(self, program: str, table: str, network: Network, wanted: Ruleset | None) -> bool:
        for attempt in range(1, _ATTEMPTS + 1):
            current = parse(self._run((f"{program}-save", "-t", table), ""))
            text = change(network, current, wanted, table)
            if not text:
                return False
            try:
                self._run((f"{program}-restore", "--noflush", "-w", "5", "-T", table), text)
            except NotIsolated:
                if attempt == _ATTEMPTS:
                    raise
            else:
                return True
        raise AssertionError("unreachable")
