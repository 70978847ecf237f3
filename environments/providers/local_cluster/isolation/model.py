"""What the isolation of jobs is about: the bridge of a node, the allocations on it, and where they may connect to."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Literal, cast

from environments.domain.errors import InvalidInput

Protocol = Literal["tcp", "udp"]

OUTGOING = "CALVINVERSE_OUTGOING"
"""Where the group's tasks may connect to: in the job file `network { cni { args = { CALVINVERSE_OUTGOING = … } } }`."""

OWN_ARGUMENTS = "CALVINVERSE_"
"""What the names of our arguments of CNI begin with."""

ADDRESS_ARGUMENTS = frozenset({"IP", "MAC", "GATEWAY"})
"""Arguments with which a job would choose the address that CNI's own plugins give it: one that was another job's."""

_BRIDGE = re.compile(r"[a-z][a-z0-9]{0,14}")
"""A name of an interface, at most 15 bytes. Names of our chains hold it between hyphens, so it holds none itself."""

_DESTINATION = re.compile(r"(?P<protocol>tcp|udp):(?P<network>[0-9./]{7,18}):(?P<first>\d{1,5})(-(?P<last>\d{1,5}))?")
_MAXIMUM_DESTINATIONS = 100


@dataclass(frozen=True, order=True)
class Destination:
    """A network and ports in it that a job may connect to; `last` is included."""

    protocol: Protocol
    network: IPv4Network
    first: int
    last: int

    def __str__(self) -> str:
        ports = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.protocol}:{self.network}:{ports}"


Outgoing = tuple[Destination, ...] | None
"""Where a job may connect to outside of its environment; None: anywhere that isn't refused to all jobs."""


@dataclass(frozen=True)
class DnsServer:
    """The node's DNS server for jobs, at `address` and `port`. Jobs reach it at port 53 of `gateway`, the bridge.

    What jobs ask the `resolvers`, which are the node's own, it answers too: they know no services.
    """

    gateway: IPv4Address
    address: IPv4Address
    port: int
    resolvers: tuple[IPv4Address, ...] = ()


@dataclass(frozen=True)
class Network:
    """Nomad's bridge on this node. `host_ports` are those of the node that jobs may use, besides the DNS server's.

    `published`: other machines reach ports that jobs publish. Without it only the node itself does. `limited_port`:
    the port of the node at which connections of one client are limited; 0: there is none.
    """

    bridge: str
    host_ports: tuple[Destination, ...] = ()
    published: bool = False
    dns: DnsServer | None = None
    limited_port: int = 0

    def __post_init__(self) -> None:
        if not _BRIDGE.fullmatch(self.bridge):
            raise InvalidInput(
                f"The bridge {self.bridge!r} can't be isolated.",
                hint="Use 1 to 15 lower-case letters and digits, starting with a letter.",
            )


@dataclass(frozen=True)
class Allocation:
    """What Nomad runs at one address of the bridge, and for which environment (its Nomad namespace)."""

    id: str
    environment: str
    address: IPv4Address
    outgoing: Outgoing = None


def check_arguments(given: Mapping[str, str]) -> Outgoing:
    """Where arguments of CNI let a job connect to.

    Raises `InvalidInput` for unknown ones and wrong values of ours, and for those that choose an address.
    """
    if chosen := sorted(ADDRESS_ARGUMENTS.intersection(given)):
        raise InvalidInput(f"The argument {chosen[0]!r} of CNI chooses an address.", hint="Leave it out.")
    unknown = sorted(key for key in given if key.startswith(OWN_ARGUMENTS) and key != OUTGOING)
    if unknown:
        raise InvalidInput(f"There is no argument {unknown[0][:80]!r} of CNI.", hint=f"Write {OUTGOING}.")
    return parse_outgoing(given.get(OUTGOING, "all"))


def parse_outgoing(text: str) -> Outgoing:
    """`all`, `none`, or destinations such as `tcp:10.1.0.0/16:443,udp:192.0.2.7:5000-5010`. Raises `InvalidInput`."""
    if text == "all":
        return None
    if text == "none":
        return ()
    words = text.split(",")
    if len(words) > _MAXIMUM_DESTINATIONS:
        raise InvalidInput(
            f"Outgoing connections can list {_MAXIMUM_DESTINATIONS} destinations at most.",
            hint="Write networks such as tcp:192.0.2.0/24:443, and ranges of ports such as 5000-5010.",
        )
    return tuple(parse_destination(word.strip()) for word in words)


def parse_destination(text: str) -> Destination:
    """One destination, `<tcp or udp>:<address or network>:<port or first-last>`. Raises `InvalidInput`."""
    match = _DESTINATION.fullmatch(text)
    try:
        if match is None:
            raise ValueError("it has another form")
        first, last = int(match["first"]), int(match["last"] or match["first"])
        if not 0 < first <= last < 65536:
            raise ValueError("its ports aren't between 1 and 65535")
        return Destination(cast(Protocol, match["protocol"]), IPv4Network(match["network"]), first, last)
    except ValueError as error:
        raise InvalidInput(
            f"{text[:80]!r} is no destination of outgoing connections: {error}.",
            hint="Write all, none, or a list such as tcp:192.0.2.0/24:443,udp:198.51.100.7:53.",
        ) from error


def to_json(allocation: Allocation) -> dict[str, Any]:
    """The allocation as JSON values; see `from_json`."""
    outgoing = None if allocation.outgoing is None else [str(destination) for destination in allocation.outgoing]
    return {
        "id": allocation.id,
        "environment": allocation.environment,
        "address": str(allocation.address),
        "outgoing": outgoing,
    }


def from_json(data: Any) -> Allocation:
    """What `to_json` wrote. Raises `InvalidInput`."""
    try:
        outgoing = data["outgoing"]
        return Allocation(
            str(data["id"]),
            str(data["environment"]),
            IPv4Address(data["address"]),
            None if outgoing is None else tuple(parse_destination(word) for word in outgoing),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"The record of an allocation's address can't be read: {error!r}.") from error


def dns_to_json(dns: DnsServer) -> dict[str, Any]:
    """The DNS server as JSON values; see `dns_from_json`."""
    return {
        "gateway": str(dns.gateway),
        "address": str(dns.address),
        "port": dns.port,
        "resolvers": [str(resolver) for resolver in dns.resolvers],
    }


def dns_from_json(data: Any) -> DnsServer:
    """What `dns_to_json` wrote. Raises `KeyError`, `TypeError`, `ValueError`."""
    resolvers = tuple(IPv4Address(resolver) for resolver in data["resolvers"])
    return DnsServer(IPv4Address(data["gateway"]), IPv4Address(data["address"]), int(data["port"]), resolvers)


def with_allocation(known: Iterable[Allocation], new: Allocation) -> list[Allocation]:
    """Those that are known with the new one, without any that had its address or its id: they have ended."""
    return [*(each for each in known if each.id != new.id and each.address != new.address), new]
