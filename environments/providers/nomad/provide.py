"""Nomad's provider: jobs, namespaces, policies and tokens, and the identities of its workloads in OpenBao."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from environments.providers.local_cluster.agent_step import AGENT_KIND
from environments.providers.nomad.access import NomadPolicyHandler, NomadTokensHandler
from environments.providers.nomad.access_ports import NomadAccess
from environments.providers.nomad.drift import NomadDriftDetector, NomadIncidentSource
from environments.providers.nomad.job import NomadJob
from environments.providers.nomad.job_handler import JobHandler
from environments.providers.nomad.namespace import NamespaceHandler
from environments.providers.nomad.ports import NomadApi
from environments.providers.nomad.workload_identity import IdentityHandler
from environments.providers.parts import Parts
from environments.steps.base import ResourceHandler
from environments.steps.registry import KnownStepKind, Provided

if TYPE_CHECKING:
    from environments.providers.backend.connections import Connections

STEP_KINDS: tuple[KnownStepKind, ...] = (NomadJob,)


def connect(connections: Callable[[], "Connections"]) -> NomadApi:
    """A client of Nomad; it asks `connections` for address and credential before each call."""
    from environments.providers.nomad.client import NomadClient

    return NomadClient(connections)


def connect_access(connections: Callable[[], "Connections"]) -> NomadAccess:
    """A client of Nomad's ACL system."""
    from environments.providers.nomad.acl_client import NomadAcl

    return NomadAcl(connections)


def provide(parts: Parts) -> Provided:
    """See `environments.providers.parts`."""
    nomad, access = parts.nomad, parts.nomad_access
    handlers: list[ResourceHandler] = [
        NamespaceHandler(nomad),
        NomadPolicyHandler(access),
        NomadTokensHandler(access),
        JobHandler(nomad),
    ]
    identities = IdentityHandler(parts.vault.logins, nomad)
    return Provided(
        executors=[NomadJob(nomad, parts.consul, parts.places, words=parts.words)],
        handlers=[*handlers, identities],
        drift_detectors=[NomadDriftDetector(nomad)],
        incident_sources=[NomadIncidentSource(nomad)],
        hosted_by={
            identities.kind: (AGENT_KIND, "openbao"),
            **{handler.kind: (AGENT_KIND, "nomad") for handler in handlers},
        },
    )
