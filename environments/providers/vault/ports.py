"""The ports to OpenBao: secrets in the KV v2 mount `secret`, the PKI mount, tokens and identities."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from environments.providers.nomad.access_ports import Identities

MOUNT = "secret"
"""Name of the KV v2 mount."""


@dataclass(frozen=True)
class SecretHead:
    """The part of a secret that isn't secret: the number of its newest version (0: none yet) and its metadata."""

    version: int
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class KeptSecret:
    """The newest version of a secret: its data and the metadata, read at the same moment."""

    data: Mapping[str, Any] = field(repr=False)
    metadata: Mapping[str, str]


class SecretFolder(Protocol):
    """The secrets of one environment, and no others."""

    def kept(self, path: str) -> KeptSecret | None:
        """Data and metadata of the newest version; None if there is none or it is deleted."""
        ...

    def version(self, path: str, number: int) -> dict[str, Any] | None:
        """The data of one version; None if there is none, or it is deleted."""
        ...


class SecretStore(Protocol):
    """The secrets of the mount. Paths don't include the mount."""

    def head(self, path: str) -> SecretHead | None:
        """The secret's metadata, None if there is none."""
        ...

    def read(self, path: str) -> dict[str, Any] | None:
        """The data of the newest version; None if there is none or it is deleted."""
        ...

    def kept(self, path: str) -> KeptSecret | None:
        """Data and metadata of the newest version, read at the same moment; None if there is none or it is deleted."""
        ...

    def versions(self, path: str) -> list[int]:
        """The numbers of all versions that have data, also deleted ones, in order; none if there is no such secret."""
        ...

    def mark(self, path: str, metadata: Mapping[str, str]) -> None:
        """Sets the metadata; creates the secret without a version if there is none."""
        ...

    def write(self, path: str, data: Mapping[str, Any], version: int) -> bool:
        """Writes the version after `version`; False if `version` isn't the newest."""
        ...

    def remove(self, path: str) -> None:
        """Removes all versions and the metadata, if there are any."""
        ...

    def paths(self, prefix: str, most: int | None = None) -> list[str]:
        """Full paths of all secrets below a folder (with a slash at its end), including those without a version.

        At most `most`, if given; then no more folders are listed than needed for that.
        """
        ...

    def of(self, environment: str) -> AbstractContextManager[SecretFolder]:
        """The folder of the environment of that name, accessed with a token for that folder only."""
        ...


@dataclass(frozen=True)
class Certificate:
    """An issued certificate: `serial` in OpenBao's notation, `unit` is its first organizational unit."""

    serial: str
    unit: str
    expires: datetime


class CertificateAuthority(Protocol):
    """OpenBao's PKI mounts: `pki`, and of that for our own parts its CA alone."""

    def role(self, name: str) -> dict[str, Any] | None:
        """The role's fields, None if there is none."""
        ...

    def write_role(self, name: str, fields: Mapping[str, Any]) -> None:
        """Creates or changes a role."""
        ...

    def remove_role(self, name: str) -> None:
        """Removes a role, if it exists. Its certificates stay valid."""
        ...

    def leases(self, role: str) -> list[str]:
        """Ids of the leases of certificates that were issued with the role."""
        ...

    def revoke_leases(self, role: str) -> None:
        """Ends all these leases, which revokes their certificates."""
        ...

    def unrevoked(self) -> list[Certificate]:
        """Every certificate of the mount that isn't revoked (it may have expired)."""
        ...

    def revoke(self, serial: str) -> None:
        """Revokes a certificate."""
        ...

    def sign(self, role: str, request: str, names: Collection[str]) -> str:
        """Signs a request (PKCS #10, PEM) for these names, by a role; the certificate with its chain, PEM."""
        ...

    def chain(self) -> str:
        """The CA's certificates, PEM; empty if there are none."""
        ...

    def parts_chain(self) -> str:
        """Those of the CA that signs for the parts of the meta environment alone (mount `pki-parts`)."""
        ...


class VaultApi(Protocol):
    """The three ports to OpenBao."""

    @property
    def secrets(self) -> SecretStore:
        """The mount `secret`."""
        ...

    @property
    def pki(self) -> CertificateAuthority:
        """The mount `pki`."""
        ...

    @property
    def logins(self) -> Identities:
        """Tokens and identities."""
        ...
