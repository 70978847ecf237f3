"""Every step kind by name, for what needs only the rules of its options and none of the parts that it works with."""

from environments.providers.consul.kv import ConsulKv
from environments.providers.http.check import CheckHttp
from environments.providers.local_cluster.agent_step import AgentLocal
from environments.providers.local_cluster.trust_step import ClusterTrust
from environments.providers.nomad.job import NomadJob
from environments.providers.opentofu.module import OpenTofuModule
from environments.providers.vault.certificate import VaultCertificate
from environments.providers.vault.secret import VaultSecret
from environments.service.inspecting import StepKind

STEP_KINDS: dict[str, StepKind] = {
    kind.kind: kind
    for kind in (
        AgentLocal,
        CheckHttp,
        ClusterTrust,
        ConsulKv,
        NomadJob,
        OpenTofuModule,
        VaultCertificate,
        VaultSecret,
    )
}
