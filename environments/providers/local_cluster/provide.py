"""What the local cluster gives: agents that the service starts, and the trust between them."""

from environments.providers.local_cluster.agent_step import AgentHandler, AgentLocal
from environments.providers.local_cluster.trust_step import ClusterTrust
from environments.providers.parts import Parts
from environments.steps.registry import KnownStepKind, Provided

STEP_KINDS: tuple[KnownStepKind, ...] = (AgentLocal, ClusterTrust)


def provide(parts: Parts) -> Provided:
    """See `environments.providers.parts`."""
    from environments.providers.local_cluster.agents.host import LocalCluster

    cluster = LocalCluster(parts.settings.state)
    return Provided(executors=[AgentLocal(cluster), ClusterTrust(cluster)], handlers=[AgentHandler(cluster)])
