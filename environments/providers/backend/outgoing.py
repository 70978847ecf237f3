"""Which addresses the service calls on the word of others: those of forges and webhooks.

The address behind a name is judged when a connection is made, and that very address is connected to: a name that says
something else a moment later changes nothing. Redirects aren't followed.
"""

import socket
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import requests

from environments.domain.allowed_addresses import entry
from environments.providers.backend.bounded import bounded_session, trusting

SECONDS = 15.0
"""For a call, from its connection to the end of the answer."""

LARGEST = 5 * 1024 * 1024
"""Bytes of an answer."""

Address = IPv4Address | IPv6Address

_METADATA = frozenset(map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")))
"""Where clouds tell machines their credentials, besides 169.254.169.254, which is link-local."""

_LOOPBACK = IPv4Network("127.0.0.0/8")
_THIS_NETWORK = IPv4Network("0.0.0.0/8")
_COMPATIBLE = IPv6Network("::/96")
_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("::ffff:0:0:0/96"))
_LOW = 0xFFFFFFFF


def is_of_this_machine(address: Address) -> bool:
    """Whether an interface of this machine has that address: only then can a socket be bound to it."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _nobody() -> Collection[str]:
    return ()


@dataclass(frozen=True)
class AddressRule:
    """Refuses loopback, link-local addresses, metadata services, this machine and the cluster's parts.

    `allowed` are exceptions that an admin makes, as `HOST:PORT`: an address with its port, or a name with its port, for
    whatever it resolves to. Metadata services, link-local and multicast addresses have to be named themselves.
    `parts` gives the IP addresses of the cluster's parts.
    """

    allowed: frozenset[str] = frozenset()
    parts: Callable[[], Collection[str]] = _nobody
    own: Callable[[Address], bool] = field(default=is_of_this_machine, repr=False)

    def why_not(self, host: str, address: str, port: int) -> str:
        """Why there is no connection to `address`, which is what `host` resolves to; empty if there may be one."""
        found = ip_address(address)
        if entry(str(found), port) in self.allowed:
            return ""
        for meant in (found, *_inside(found)):
            if why := _never(meant):
                return why
        if entry(host, port) in self.allowed:
            return ""
        parts = {*map(ip_address, self.parts())}
        for meant in (found, *_inside(found)):
            if meant.is_loopback or meant in _LOOPBACK:
                return "it is loopback"
            if meant in parts:
                return "a part of the cluster is there"
            if self.own(meant):
                return "it is an address of this machine"
        return ""


def _never(address: Address) -> str:
    if address.is_link_local or address in _METADATA:
        return "it is link-local, or tells machines their credentials"
    if (
        address.is_multicast
        or address.is_unspecified
        or (address.version == 4 and (address.is_reserved or address in _THIS_NETWORK))
    ):
        return "it is no address of one machine"
    return ""


def _inside(address: Address) -> Iterator[Address]:
    """IPv4 addresses that an IPv6 address stands for: a system or a router on the way may use those."""
    if not isinstance(address, IPv6Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    compatible = address in _COMPATIBLE and int(address) > 1
    if compatible or any(address in network for network in _TRANSLATED):
        yield IPv4Address(int(address) & _LOW)


def outgoing_session(rule: AddressRule, *, seconds: float = SECONDS, largest: int = LARGEST) -> requests.Session:
    """A session for calls on the word of others; see `bounded_session`.

    It trusts the public CAs and those of this machine. Raises `AddressRefused` when it is used for a refused address.
    """
    trust = trusting()
    trust.load_default_certs()
    return bounded_session(context=trust, seconds=seconds, largest=largest, keep=2, why_not=rule.why_not)
