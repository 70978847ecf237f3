"""Finds allocations that Nomad connected to the bridge before the isolation was switched on.

CNI's library keeps what it was given and what the plugins made for each container, and the plugin `host-local` keeps
which container has an address. Only root can write there. Tasks that run go on reaching what they may, because they are
recorded before the first rules are written.
"""

import json
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

from environments.domain.errors import InvalidInput
from environments.providers.local_cluster.isolation import plugin
from environments.providers.local_cluster.isolation.model import Allocation, Network


def connected(network: Network, known: Iterable[Allocation], leases: Path, results: Path) -> Iterator[Allocation]:
    """The allocations on the bridge whose addresses belong to none of the known ones.

    `leases` is the folder of `host-local`, `results` that of CNI's library. One that can't be read counts for nothing.
    """
    recorded = {str(each.address) for each in known}
    for lease in sorted(leases.glob("*.*.*.*")):
        if lease.name in recorded:
            continue
        try:
            container = lease.read_text().splitlines()[0].strip()
            (result,) = results.glob(f"nomad-{container}-*")
            data = json.loads(result.read_text())
            given = plugin.arguments(";".join(f"{key}={value}" for key, value in data["cniArgs"]))
            found = plugin.allocation(network, given, container, {"prevResult": data["result"]})
        except (OSError, LookupError, TypeError, ValueError, InvalidInput):
            continue
        if found.address == IPv4Address(lease.name):
            yield found
