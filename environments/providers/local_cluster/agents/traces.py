"""What a Nomad agent may have left under names that no file of its cluster says any more.

Bridge and cgroup are named after the id of the cluster. Where the file with that id was lost or damaged, the agent's
configuration has both names, and the machine's claims of subnets name the agent's folder.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from environments.kept_files import NotKept, read_object
from environments.providers.local_cluster.agents import networks

_CGROUP = re.compile(r"calvinverse([0-9a-f]{8})\.slice")


@dataclass(frozen=True)
class Traces:
    """Ids of clusters, and subnets."""

    clusters: frozenset[str]
    subnets: frozenset[str]


def cgroup_name(cluster: str) -> str:
    """The cgroup of all tasks of a cluster; systemd wants `.slice`, and no hyphen unless it is nested."""
    return f"calvinverse{cluster}.slice"


def find(cluster: str, config: Path, data: Path, subnet_file: Path) -> Traces:
    """Those of the agent with this configuration, data folder and file of its subnet.

    `cluster`: the id as it is now, perhaps a new one. After a start of the machine another agent may have claimed the
    subnet that this one had, and then all in it is that one's.
    """
    clusters, subnets = {cluster}, {networks.kept_subnet(subnet_file), *networks.subnets_of(data)}
    client = _client(config, data)
    if (found := _CGROUP.fullmatch(str(client.get("cgroup_parent")))) is not None:
        clusters.add(found[1])
    if networks.is_subnet(told := str(client.get("bridge_network_subnet"))):
        subnets.add(told)
    subnets -= {"", *networks.subnets_of_others(data)}
    return Traces(frozenset(clusters | networks.clusters_in(subnets)), frozenset(subnets))


def claimed(data: Path) -> Traces:
    """What the machine's claims and routes alone say to be of the agent with this data folder."""
    subnets = networks.subnets_of(data)
    return Traces(networks.clusters_in(subnets), subnets)


def names_its_place(config: Path, data: Path) -> bool:
    """Whether a configuration is that of the agent with this data folder, and not one that was copied here."""
    try:
        return Path(read_object(config)["data_dir"]) == data
    except (NotKept, LookupError, TypeError):
        return False


def _client(config: Path, data: Path) -> dict[str, object]:
    """The client's part of a configuration; empty if it is damaged, or that of another agent, copied here."""
    try:
        told = read_object(config)
        folder = Path(told["data_dir"])
        # That of a folder which was moved here names one that is gone.
        ours = folder == data or not folder.exists()
        return dict(told["client"]) if ours else {}
    except (NotKept, OSError, ValueError, LookupError, TypeError):
        return {}
