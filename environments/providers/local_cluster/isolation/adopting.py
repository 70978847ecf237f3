"""Finds allocations that Nomad connected to the bridge before the isolation was switched on.

CNI's library keeps what it was given and what the plugins made for each container, and the plugin `host-local` keeps
which container has an address. Only root can write there. Tasks that run go on reaching what they may, because they are
recorded before the first rules are written.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

from environments.cni import lease_holder
from environments.domain.errors import InvalidInput
from environments.providers.local_cluster.isolation import plugin
from environments.providers.local_cluster.isolation.model import Allocation, Network


def replaced(known: Iterable[Allocation], leases: Path) -> Iterator[Allocation]:
    """Those of the known allocations whose address has another container: their records give it their rights.

    That happens if Nomad connects allocations without the plugin while records of earlier ones are kept.
    """
    for each in known:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if lease_holder(leases / str(each.address)) != each.id:
                yield each


def connected(network: Network, known: Iterable[Allocation], leases: Path, results: Path) -> Iterator[Allocation]:
    """The allocations on the bridge that aren't known.

    `leases` is the folder of `host-local`, `results` that of CNI's library. One that can't be read counts for nothing.
    """
    recorded = {str(each.address): each.id for each in known}
    for lease in sorted(leases.glob("*.*.*.*")):
        try:
            container = lease_holder(lease)
            if recorded.get(lease.name) == container:
                continue
            (result,) = results.glob(f"nomad-{container}-*")
            data = json.loads(result.read_text())
            given = plugin.arguments(";".join(f"{key}={value}" for key, value in data["cniArgs"]))
            found = plugin.allocation(network, given, container, {"prevResult": data["result"]})
        except (OSError, LookupError, TypeError, ValueError, InvalidInput):
            continue
        if found.address == IPv4Address(lease.name):
            yield found
