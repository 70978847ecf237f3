"""Where a job may run: in the region of the Nomad that the service uses, and in its default pool of nodes.

What the service knows, isolates and proves to be gone is in that region alone: a job that a federated Nomad took to
another one would have neither our firewall nor an end.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from environments.domain.faults import Fault
from environments.providers.nomad.container_options import DECLARED, REMEDY
from environments.steps.hcl.faults import Source

_OWN_REGIONS = frozenset({"", "global"})
"""Without a region, and with Nomad's default one, a job runs in the region of the Nomad that is asked."""

_OWN_POOLS = frozenset({"", "default"})

_ELSEWHERE = "environments run in the region of the Nomad that the service uses alone"
_POOL = "whose nodes may not isolate jobs"


def region_problems(job: Mapping[str, Any]) -> Iterator[str]:
    """Other regions in a parsed job."""
    if (region := job.get("Region") or "") not in _OWN_REGIONS:
        yield f"it names the region {region!r}; leave region out, {_ELSEWHERE}"
    if job.get("Multiregion"):
        yield f"it has a block multiregion; leave it out, {_ELSEWHERE}"


def pool_problems(job: Mapping[str, Any]) -> Iterator[str]:
    """Another pool of nodes in a parsed job."""
    if (pool := job.get("NodePool") or "") not in _OWN_POOLS:
        yield f"it names the node pool {pool!r}, {_POOL}; leave node_pool out: {REMEDY}"


def region_faults(source: Source) -> Iterator[Fault]:
    """Other regions in a job file, as far as it has them in plain words."""
    for job in source.tree.body.of("job"):
        region = job.body.attribute("region")
        if region is not None and region.text is not None and region.text not in _OWN_REGIONS:
            yield source.fault(region.at, f"a job can't name the region {region.text!r}: {_ELSEWHERE}", "leave it out")
        for block in job.body.of("multiregion"):
            yield source.fault(block.at, f"a job can't have a block multiregion: {_ELSEWHERE}", "leave it out")


def pool_faults(source: Source) -> Iterator[Fault]:
    """Likewise another pool of nodes."""
    for job in source.tree.body.of("job"):
        pool = job.body.attribute("node_pool")
        if pool is not None and pool.text is not None and pool.text not in _OWN_POOLS:
            message = f"a job can't name the node pool {pool.text!r}, {_POOL}"
            yield source.fault(pool.at, message, f"leave it out, {DECLARED}")
