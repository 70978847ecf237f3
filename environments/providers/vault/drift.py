"""Detects what no step made in OpenBao: secrets in an environment's folder, and a PKI role of its name."""

from collections.abc import Sequence
from typing import ClassVar

from environments.domain.environment import Unexpected
from environments.domain.names import kv_prefix
from environments.providers.vault.certificate import ROLE_KIND, ROLES
from environments.providers.vault.folder import folder_marker
from environments.providers.vault.ports import MOUNT, CertificateAuthority, SecretStore
from environments.providers.vault.secret import SECRET_KIND
from environments.steps.base import Owner
from environments.steps.drift import Known, is_known, undeclared

_MOST = 1000
"""The most unexpected secrets that are reported."""


class OpenBaoDriftDetector:
    """Detects secrets in the environment's folder and a PKI role of its name that no step made."""

    part: ClassVar[str] = "OpenBao"

    def __init__(self, store: SecretStore, authority: CertificateAuthority) -> None:
        self._store = store
        self._authority = authority

    def unexpected(self, owner: Owner, known: Known, steps: frozenset[str]) -> Sequence[Unexpected]:
        """Names only: secrets are not read."""
        role = f"{ROLES}{owner.name}"
        marker = folder_marker(owner.name)
        paths = self._store.paths(kv_prefix(owner.name), _MOST)
        addresses = [address for path in paths if (address := f"{MOUNT}/{path}") != marker]
        found = [undeclared(SECRET_KIND, address) for address in addresses if not is_known(known, SECRET_KIND, address)]
        if not is_known(known, ROLE_KIND, role) and self._authority.role(owner.name) is not None:
            found.append(undeclared(ROLE_KIND, role))
        return found
