"""iptables in memory: what `iptables-save` and `iptables-restore --noflush` do to a table, and what packets meet."""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from environments.node_firewall import Lack, NotIsolated, Reason

BUILT_IN = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")


@dataclass(frozen=True)
class Packet:
    """A packet between two interfaces; without `out` it is for the node itself.

    `state` and `direction` are conntrack's.
    """

    source: str
    destination: str
    enters: str
    leaves: str = ""
    protocol: str = "tcp"
    port: int = 80
    state: str = "NEW"
    direction: str = "ORIGINAL"


class Iptables:
    """The tables `mangle` and `nat`; `run` stands for the programs. `disturb` runs before each write.

    `links` and `routes` are what `ip` says of the node: it has one interface with a default route, `eth0`.
    """

    def __init__(self) -> None:
        self.tables = {program: {chain: list[str]() for chain in BUILT_IN} for program in ("iptables", "ip6tables")}
        self.nat = {chain: list[str]() for chain in BUILT_IN}
        self.links: list[dict[str, Any]] = []
        self.routes: list[dict[str, Any]] = [{"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"}]
        self.calls: list[Sequence[str]] = []
        self.disturb: Callable[[], None] = lambda: None

    def run(self, command: Sequence[str], text: str) -> str:
        if command[:2] == ("ip", "-j"):
            return json.dumps(self.links if "link" in command else self.routes)
        self.calls.append(command)
        program, _, verb = command[0].partition("-")
        nat = command[-1] == "nat"
        if verb == "save":
            return _saved("nat", self.nat) if nat else self.save(program)
        if verb == "restore":
            self.disturb()
            draft = {chain: list(rules) for chain, rules in (self.nat if nat else self.tables[program]).items()}
            for line in text.splitlines():
                _take(draft, line)
            if nat:
                self.nat = draft
            else:
                self.tables[program] = draft
        return ""

    def save(self, program: str) -> str:
        return _saved("mangle", self.tables[program])

    def passes(self, packet: Packet) -> bool:
        """Whether the table lets the packet through."""
        table = self.tables["iptables"]
        return _walk(table, "FORWARD" if packet.leaves else "INPUT", packet) != "DROP"


def _saved(name: str, table: Mapping[str, Sequence[str]]) -> str:
    heads = [f":{chain} {'ACCEPT' if chain in BUILT_IN else '-'} [0:0]" for chain in table]
    rules = [f"-A {chain} {rule}" for chain, found in table.items() for rule in found]
    return "\n".join(["# Generated", f"*{name}", *heads, *rules, "COMMIT", "# Completed", ""])


def _take(table: dict[str, list[str]], line: str) -> None:
    try:
        if line.startswith(":"):
            table[line[1:].split()[0]] = []
        elif line.startswith("-"):
            verb, chain, *rest = line.split(" ", 2)
            rule = rest[0] if rest else ""
            if verb == "-A":
                table[chain].append(rule)
            elif verb == "-I":
                number, _, rule = rule.partition(" ")
                table[chain].insert(int(number) - 1, rule)
            elif verb == "-D":
                table[chain].remove(rule)
            elif verb == "-F":
                table[chain].clear()
            elif verb == "-X":
                rules = table.pop(chain)
                if rules or any(used.endswith(f" {chain}") for found in table.values() for used in found):
                    raise ValueError(f"{chain} is used")
    except (KeyError, ValueError) as error:
        raise NotIsolated(Lack(Reason.REFUSED, f"iptables-restore failed: {line}: {error}.", "")) from error


def _walk(table: Mapping[str, Sequence[str]], chain: str, packet: Packet) -> str:
    """`DROP`, or `RETURN` when the chain was left otherwise."""
    for rule in table[chain]:
        words = shlex.split(rule)
        if not _matches(words[:-2], packet):
            continue
        how, target = words[-2:]
        if target in ("DROP", "RETURN"):
            return target
        if _walk(table, target, packet) == "DROP":
            return "DROP"
        if how == "-g":
            return "RETURN"
    return "RETURN"


def _matches(words: Sequence[str], packet: Packet) -> bool:
    rest, wanted = list(words), True
    while rest:
        if rest[0] == "!":
            wanted = False
            rest.pop(0)
            continue
        option, value = rest.pop(0), rest.pop(0)
        if _fits(option, value, packet) is not wanted:
            return False
        wanted = True
    return True


def _fits(option: str, value: str, packet: Packet) -> bool:
    first, _, last = value.partition(":")
    match option:
        case "-s":
            return IPv4Address(packet.source) in IPv4Network(value)
        case "-d":
            return IPv4Address(packet.destination) in IPv4Network(value)
        case "-i" | "-o":
            name = packet.enters if option == "-i" else packet.leaves
            return name.startswith(value[:-1]) if value.endswith("+") else name == value
        case "-p":
            return packet.protocol == value
        case "-m":
            return True
        case "--dport":
            return int(first) <= packet.port <= int(last or first)
        case "--ctstate":
            return packet.state in value.split(",")
        case "--ctdir":
            return packet.direction == value
    raise AssertionError(f"unknown option {option}")
