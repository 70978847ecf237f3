"""Finds the healthy instances of an environment's services.

A job may register any address for a service of its own, in Consul: that of Nomad, of another environment, or of a
machine's metadata. So only those addresses count that Nomad itself has given to allocations of the environment.
"""

from collections.abc import Callable, Collection, Mapping
from ipaddress import ip_address

from environments.domain.names import service_name
from environments.providers.consul.ports import Catalogue, Instance
from environments.providers.nomad.ports import GivenPort, NomadApi
from environments.steps.base import Owner, Presence
from environments.steps.entry_points import Healthy
from environments.steps.marks import whose

MOST = 64
"""Instances of a service that the edge uses."""


class HealthyInstances:
    """Implements `environments.steps.entry_points.Instances`.

    `ours` are ports on which parts of Calvinverse and of its cluster listen: Nomad doesn't know that they are taken.
    """

    def __init__(self, catalogue: Catalogue, nomad: NomadApi, ours: Callable[[], Collection[int]]) -> None:
        self._catalogue = catalogue
        self._nomad = nomad
        self._ours = ours

    def healthy(self, owner: Owner, services: Collection[str]) -> Mapping[str, Healthy]:
        """See `Instances`. Nothing in a namespace that isn't the environment's counts."""
        if whose(self._nomad.namespace(owner.name), owner) is not Presence.OURS:
            return {}
        refused = frozenset(self._ours())
        given = {(_same(found.address), found.port) for found in self._nomad.given_ports(owner.name) if _fits(found)}
        healthy: dict[str, Healthy] = {}
        for service in services:
            _, instances = self._catalogue.instances(service_name(owner.name, service))
            # All of one service speak the same protocol, and those with TLS aren't asked without.
            tls = any(_speaks_tls(found) for found in instances)
            places = {
                (_same(found.address), found.port) for found in instances if found.passing and _speaks_tls(found) == tls
            }
            known = sorted(place for place in places & given if place[1] not in refused)
            addresses = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in known[:MOST])
            healthy[service] = Healthy(tuple(addresses), tls)
        return healthy


def _speaks_tls(found: Instance) -> bool:
    return (found.metadata.get("scheme") or ("https" if "https" in found.tags else "http")) == "https"


def _fits(found: GivenPort) -> bool:
    """Whether it is a port that Nomad has chosen, on an address that a service can have."""
    try:
        address = ip_address(found.address)
    except ValueError:
        return False
    # A job chooses static ports, such as those of Nomad itself.
    return found.dynamic and not (address.is_unspecified or address.is_link_local or address.is_multicast)


def _same(address: str) -> str:
    """An IP address as it is always written; anything else as it is."""
    try:
        return str(ip_address(address))
    except ValueError:
        return address
