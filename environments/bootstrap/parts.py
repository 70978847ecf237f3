"""The step kinds on the real parts, and what everything else is made with."""

import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from environments.domain.errors import NotConnected
from environments.domain.names import ID_ALPHABET, ID_LENGTH
from environments.providers.backend.connections import CONNECTIONS_FILE, Connections
from environments.providers.consul.access import PolicyHandler, TokensHandler
from environments.providers.consul.client import ConsulClient
from environments.providers.consul.drift import ConsulDriftDetector
from environments.providers.consul.kv import ConsulKv
from environments.providers.consul.prefix import PrefixHandler
from environments.providers.consul.services import ServicesHandler
from environments.providers.http.check import CheckHttp
from environments.providers.http.client import WebClient
from environments.providers.job_places import ClaimedPlaces, reach
from environments.providers.local_cluster.agent_step import AGENT_KIND, AgentHandler, AgentLocal
from environments.providers.local_cluster.agents.host import LocalCluster
from environments.providers.local_cluster.trust_step import ClusterTrust
from environments.providers.nomad.access import NomadPolicyHandler, NomadTokensHandler
from environments.providers.nomad.acl_client import NomadAcl
from environments.providers.nomad.client import NomadClient
from environments.providers.nomad.drift import NomadDriftDetector, NomadIncidentSource
from environments.providers.nomad.job import JobHandler, NomadJob
from environments.providers.nomad.namespace import NamespaceHandler
from environments.providers.nomad.validation import NomadJudge
from environments.providers.nomad.workload_identity import IdentityHandler
from environments.providers.opentofu.credentials import ClusterCredentials
from environments.providers.opentofu.folders import WorkFolders
from environments.providers.opentofu.installation import Installation
from environments.providers.opentofu.keys import ModuleKeyHandler, VaultModuleKeys
from environments.providers.opentofu.module import OpenTofuModule
from environments.providers.opentofu.places import ConnectedPlaces
from environments.providers.opentofu.ports import CredentialBroker
from environments.providers.opentofu.prepared import Prepared
from environments.providers.opentofu.removal import ModuleResourceHandler, ModuleStateHandler
from environments.providers.opentofu.runner import OpenTofu
from environments.providers.opentofu.served_states import SealedRunRecords, ServedStates
from environments.providers.vault.certificate import CertificatesHandler, RoleHandler, VaultCertificate
from environments.providers.vault.client import VaultClient
from environments.providers.vault.drift import OpenBaoDriftDetector
from environments.providers.vault.folder import FolderHandler
from environments.providers.vault.secret import SecretHandler, VaultSecret
from environments.providers.vault.secret_words import secret_words
from environments.service.module_states import ModuleStates
from environments.settings import Settings
from environments.steps.base import DriftDetector, Executor, ResourceHandler
from environments.steps.registry import StepRegistry, step_registry


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


def new_id(kind: str) -> str:
    """`env-` or the like, and 60 random bits that a person can read out; see `environments.domain.names.is_id`."""
    return f"{kind}-{''.join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))}"


def connections_of(settings: Settings) -> Callable[[], Connections]:
    """The connections as they are now: the file is read again when it has changed, for we may make the cluster."""
    path = settings.connections or settings.state / CONNECTIONS_FILE
    guard = threading.Lock()
    seen: tuple[tuple[int, int, int], Connections] | None = None

    def read() -> Connections:
        nonlocal seen
        try:
            stat = path.stat()
        except FileNotFoundError:
            if settings.connections is not None:
                raise NotConnected(f"There is no file {path} with the connections to the cluster.") from None
            return Connections()
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        with guard:
            if seen is None or seen[0] != stamp:
                seen = (stamp, Connections.load(path))
            return seen[1]

    return read


def make_registry(settings: Settings, connections: Callable[[], Connections]) -> tuple[StepRegistry, VaultClient]:
    """Every step kind on the real parts."""
    consul, nomad, vault, acl = (
        ConsulClient(connections),
        NomadClient(connections),
        VaultClient(connections),
        NomadAcl(connections),
    )
    machine = LocalCluster(settings.state)
    places = make_places(consul, nomad, vault)
    executors: list[Executor] = [
        ConsulKv(consul),
        VaultSecret(vault.secrets),
        VaultCertificate(vault.pki),
        NomadJob(nomad, consul, places, words=secret_words(vault.secrets)),
        CheckHttp(consul, WebClient(), vault.pki, nomad),
        AgentLocal(machine),
        ClusterTrust(machine),
    ]
    handlers: list[ResourceHandler] = [
        PrefixHandler(consul),
        PolicyHandler(consul),
        TokensHandler(consul),
        ServicesHandler(consul),
        SecretHandler(vault.secrets),
        FolderHandler(vault.secrets),
        RoleHandler(vault.pki),
        CertificatesHandler(vault.pki, now),
        IdentityHandler(vault.logins, nomad),
        ModuleKeyHandler(vault.secrets),
        NamespaceHandler(nomad),
        NomadPolicyHandler(acl),
        NomadTokensHandler(acl),
        JobHandler(nomad),
        AgentHandler(machine),
    ]
    agents = {"consul": "consul", "vault": "openbao", "nomad": "nomad"}
    hosted_by = {
        handler.kind: (AGENT_KIND, agents[part])
        for handler in handlers
        if (part := handler.kind.partition(".")[0]) in agents
    }
    drift_detectors: list[DriftDetector] = [
        NomadDriftDetector(nomad),
        ConsulDriftDetector(consul, consul, consul),
        OpenBaoDriftDetector(vault.secrets, vault.pki),
    ]
    return step_registry(executors, handlers, hosted_by, drift_detectors, [NomadIncidentSource(nomad)], reach), vault


def make_judge(connections: Callable[[], Connections]) -> NomadJudge:
    """What asks Nomad about the job files of templates."""
    return NomadJudge(NomadClient(connections))


def make_places(consul: ConsulClient, nomad: NomadClient, vault: VaultClient) -> ClaimedPlaces:
    """What claims all that jobs of an environment can read and write."""
    return ClaimedPlaces(nomad, consul, consul, consul, vault.secrets, vault.pki, vault.logins)


def make_broker(connections: Callable[[], Connections], vault: VaultClient) -> CredentialBroker:
    """The broker that issues credentials to modules."""
    consul, nomad, acl = ConsulClient(connections), NomadClient(connections), NomadAcl(connections)
    places, where = make_places(consul, nomad, vault), ConnectedPlaces(connections).where
    return ClusterCredentials(consul, consul, acl, vault.logins, vault.secrets, places, where)


def with_modules(
    tools: StepRegistry,
    settings: Settings,
    vault: VaultClient,
    broker: CredentialBroker,
    backend: ServedStates,
    states: ModuleStates,
) -> StepRegistry:
    """The registry with OpenTofu's modules, which need the service for their states."""
    folder = settings.data_folder / "opentofu"
    installation = Installation(settings.tofu, settings.providers, folder / "providers")
    folders, prepared = WorkFolders(folder / "work"), Prepared(folder / "prepared")
    tofu = OpenTofu(installation, folders, prepared, settings.modules_at_once)
    keys = VaultModuleKeys(vault.secrets)
    records = SealedRunRecords(states, keys)
    executor = OpenTofuModule(tofu, backend, keys, records, broker)
    handlers: list[ResourceHandler] = [
        ModuleStateHandler(executor.modules),
        ModuleResourceHandler(executor.modules),
    ]
    return replace(
        tools,
        executors={**tools.executors, executor.kind: executor},
        handlers={**tools.handlers, **{handler.kind: handler for handler in handlers}},
    )
