"""OpenBao's provider: secrets and certificates."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from environments.providers.local_cluster.agent_step import AGENT_KIND
from environments.providers.parts import Parts
from environments.providers.vault.certificate import CertificatesHandler, RoleHandler, VaultCertificate
from environments.providers.vault.drift import OpenBaoDriftDetector
from environments.providers.vault.edge_names import EdgeNames
from environments.providers.vault.folder import FolderHandler
from environments.providers.vault.ports import VaultApi
from environments.providers.vault.secret import SecretHandler, VaultSecret
from environments.steps.base import ResourceHandler
from environments.steps.registry import KnownStepKind, Provided

if TYPE_CHECKING:
    from environments.providers.backend.connections import Connections

STEP_KINDS: tuple[KnownStepKind, ...] = (VaultSecret, VaultCertificate)


def connect(connections: Callable[[], "Connections"]) -> VaultApi:
    """A client of OpenBao; it asks `connections` for address and credential before each call."""
    from environments.providers.vault.client import VaultClient

    return VaultClient(connections)


def provide(parts: Parts) -> Provided:
    """See `environments.providers.parts`."""
    secrets, pki = parts.vault.secrets, parts.vault.pki
    handlers: list[ResourceHandler] = [
        SecretHandler(secrets),
        FolderHandler(secrets),
        RoleHandler(pki),
        CertificatesHandler(pki, parts.clock),
    ]
    return Provided(
        executors=[VaultSecret(secrets), VaultCertificate(pki, EdgeNames.of(parts.settings))],
        handlers=handlers,
        drift_detectors=[OpenBaoDriftDetector(secrets, pki)],
        hosted_by={handler.kind: (AGENT_KIND, "openbao") for handler in handlers},
    )
