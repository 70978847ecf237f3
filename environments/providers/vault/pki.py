"""What step kinds with roles and certificates of the mount `pki` have in common."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from environments.providers.vault.ports import Certificate, CertificateAuthority


def differing(present: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> list[str]:
    """The fields in which a role differs; all of them if there is no role."""
    return [key for key, value in fields.items() if (present or {}).get(key) != value]


def valid_of(authority: CertificateAuthority, unit: str, now: datetime) -> list[Certificate]:
    """The certificates that bear a mark and are neither revoked nor expired. Raises `BackendError`."""
    return [found for found in authority.unrevoked() if found.unit == unit and found.expires > now]
