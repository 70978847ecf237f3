"""OpenBao in memory: secrets, the PKI mount, tokens and identities."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from environments.domain.json_values import as_floats
from environments.providers.nomad.access_ports import Identity
from environments.providers.vault.ports import Certificate, KeptSecret, SecretHead
from environments.steps.base import Issued
from tests.support.authorities import make_authority


@dataclass
class _Secret:
    metadata: dict[str, str] = field(default_factory=dict)
    versions: list[dict[str, Any]] = field(default_factory=list)


class MemorySecrets:
    """Implements `SecretStore`."""

    def __init__(self) -> None:
        self._secrets: dict[str, _Secret] = {}

    def head(self, path: str) -> SecretHead | None:
        """The secret's newest version and metadata."""
        found = self._secrets.get(path)
        return None if found is None else SecretHead(len(found.versions), dict(found.metadata))

    def read(self, path: str) -> dict[str, Any] | None:
        """The newest version's data."""
        found = self._secrets.get(path)
        return dict(found.versions[-1]) if found and found.versions else None

    def kept(self, path: str) -> KeptSecret | None:
        """The newest version's data with the metadata."""
        found = self._secrets.get(path)
        return KeptSecret(dict(found.versions[-1]), dict(found.metadata)) if found and found.versions else None

    def versions(self, path: str) -> list[int]:
        """The numbers of all versions."""
        found = self._secrets.get(path)
        return [*range(1, len(found.versions) + 1)] if found else []

    def version(self, path: str, number: int) -> dict[str, Any] | None:
        """The data of one version."""
        return dict(self._secrets[path].versions[number - 1]) if number in self.versions(path) else None

    def mark(self, path: str, metadata: Mapping[str, str]) -> None:
        """Sets the metadata."""
        self._secrets.setdefault(path, _Secret()).metadata = dict(metadata)

    def write(self, path: str, data: Mapping[str, Any], version: int) -> bool:
        """Writes the version after `version`; False when that isn't the newest."""
        found = self._secrets.setdefault(path, _Secret())
        if len(found.versions) != version:
            return False
        found.versions.append(as_floats(json.loads(json.dumps(data))))
        return True

    def remove(self, path: str) -> None:
        """Removes all versions and the metadata."""
        self._secrets.pop(path, None)

    def paths(self, prefix: str, most: int | None = None) -> list[str]:
        """Full paths of all secrets below a folder."""
        return sorted(path for path in self._secrets if path.startswith(prefix))[:most]

    @contextmanager
    def of(self, environment: str) -> Iterator["MemorySecrets"]:
        """All secrets; a token limits nothing here."""
        yield self


class MemoryPki:
    """Implements `CertificateAuthority` and `CertificateChain`."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = now
        self._roles: dict[str, dict[str, Any]] = {}
        self._certificates: dict[str, tuple[Certificate, str]] = {}
        self._leases: dict[str, str] = {}
        self._count = 0

    def role(self, name: str) -> dict[str, Any] | None:
        """The role's fields."""
        return self._roles.get(name)

    def write_role(self, name: str, fields: Mapping[str, Any]) -> None:
        """Makes or changes a role."""
        self._roles[name] = {**self._roles.get(name, {}), **fields}

    def remove_role(self, name: str) -> None:
        """Removes a role."""
        self._roles.pop(name, None)

    def leases(self, role: str) -> list[str]:
        """Ids of the leases of the role's certificates."""
        return [lease for lease, serial in self._leases.items() if self._certificates[serial][1] == role]

    def revoke_leases(self, role: str) -> None:
        """Ends the leases."""
        for lease in self.leases(role):
            self.revoke(self._leases.pop(lease))

    def unrevoked(self) -> list[Certificate]:
        """Every certificate that isn't revoked."""
        return [certificate for certificate, role in self._certificates.values() if role]

    def revoke(self, serial: str) -> None:
        """Revokes a certificate."""
        certificate, _ = self._certificates[serial]
        self._certificates[serial] = (certificate, "")

    def sign(self, role: str, request: str, names: Collection[str]) -> str:
        """Signs with an authority of its own."""
        fields = self._roles[role]
        self._count += 1
        certificate = Certificate(f"{self._count:02x}", fields["ou"][0], self._now + timedelta(seconds=fields["ttl"]))
        self._certificates[certificate.serial] = (certificate, role)
        return make_authority().sign_request(request, tuple(names))

    def chain(self) -> str:
        """A text in place of a CA."""
        return "-----BEGIN CERTIFICATE-----\nmemory\n-----END CERTIFICATE-----\n"

    def parts_chain(self) -> str:
        """Another one."""
        return "-----BEGIN CERTIFICATE-----\nparts\n-----END CERTIFICATE-----\n"

    def issue(self, role: str) -> Certificate:
        """What a workload does: has a certificate issued by a role."""
        fields = self._roles[role]
        self._count += 1
        expires = self._now + timedelta(seconds=fields["ttl"])
        certificate = Certificate(f"{self._count:02x}", fields["ou"][0], expires)
        self._certificates[certificate.serial] = (certificate, role)
        self._leases[f"lease-{self._count}"] = certificate.serial
        return certificate


class MemoryLogins:
    """Implements `Identities`."""

    def __init__(self) -> None:
        self._entities: dict[str, tuple[str, str]] = {}
        self._tokens: dict[str, tuple[str, str]] = {}
        self._count = 0

    def find(self, auth_path: str, name: str) -> Identity:
        """What logins at `auth_path` as `name` left."""
        origin = (auth_path, name)
        return Identity(
            tuple(entity for entity, found in self._entities.items() if found == origin),
            tuple(accessor for accessor, found in self._tokens.items() if found == origin),
        )

    def notice(self) -> None:
        """Nothing here is quicker for it."""

    def revoke(self, accessor: str) -> None:
        """Revokes a token."""
        self._tokens.pop(accessor, None)

    def remove_entity(self, entity: str) -> None:
        """Removes an entity."""
        self._entities.pop(entity, None)

    def log_in(self, auth_path: str, name: str) -> None:
        """What a workload does."""
        self._count += 1
        self._entities.setdefault(f"entity-{auth_path}-{name}", (auth_path, name))
        self._tokens[f"accessor-{self._count}"] = (auth_path, name)

    def issue(self, name: str, seconds: int, metadata: Mapping[str, str]) -> Issued:
        """A token of that name; it never ends by itself here."""
        self.log_in("token", name)
        return Issued(f"accessor-{self._count}", f"vault-secret-{self._count}")


@dataclass(frozen=True)
class MemoryVault:
    """Implements `VaultApi`."""

    secrets: MemorySecrets = field(default_factory=MemorySecrets)
    pki: MemoryPki = field(default_factory=MemoryPki)
    logins: MemoryLogins = field(default_factory=MemoryLogins)
