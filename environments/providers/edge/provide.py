"""The edge's provider: entry points of environments."""

from environments.providers.edge.certificates import EdgeCertificateHandler
from environments.providers.edge.entry_points import EdgeEntryPoints, RouteHandler
from environments.providers.edge.instances import HealthyInstances
from environments.providers.local_cluster.agent_step import AGENT_KIND
from environments.providers.parts import Parts
from environments.steps.registry import KnownStepKind, Provided

STEP_KINDS: tuple[KnownStepKind, ...] = (EdgeEntryPoints,)


def provide(parts: Parts) -> Provided:
    """See `environments.providers.parts`."""
    pki = parts.vault.pki
    certificates = EdgeCertificateHandler(pki, parts.clock)
    instances = HealthyInstances(parts.consul, parts.nomad, lambda: {parts.settings.port, *parts.connections().ports()})
    return Provided(
        executors=[EdgeEntryPoints(parts.entry_points, parts.nomad, pki, instances)],
        handlers=[RouteHandler(parts.entry_points), certificates],
        hosted_by={certificates.kind: (AGENT_KIND, "openbao")},
    )
