"""OpenBao (or Vault) through hvac: secrets, the PKI mount, tokens and identities."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC
from itertools import islice
from typing import Any

import hvac
import requests
from cryptography import x509
from cryptography.x509.oid import NameOID
from hvac import exceptions

from environments.domain.errors import BackendDenied, BackendError
from environments.providers.backend.connections import Connections, Endpoint
from environments.providers.backend.link import CALL_LIMIT, Fault, Link, Missing, TokenLink
from environments.providers.local_cluster.trust.names import OPENBAO_MODULES, OPENBAO_SECRETS
from environments.providers.nomad.access_ports import Identity
from environments.providers.vault.ports import MOUNT, Certificate, KeptSecret, SecretHead
from environments.steps.base import Issued

PKI = "pki"

ENVIRONMENTS = "environments"
"""The folder of the mount `secret` that has one of each environment."""

ISSUED_SECONDS = 60
"""How long a token for the secrets of one environment lives, at most: a use takes a call or two."""

_SETTLED = 1.0
"""Seconds that an accessor has been listed before its token is looked up.

OpenBao writes a token before its lease, and takes a token without one for left over: whoever looks it up at that moment
makes it revoke a token that somebody is just being given, of whatever environment (`lookupInternal` in its store).
"""

_BEING_MADE = 60.0
"""Seconds after which an accessor without a token is taken for one that will never have one."""

_STATUS: dict[type[exceptions.VaultError], int] = {
    exceptions.InvalidRequest: 400,
    exceptions.Unauthorized: 401,
    exceptions.Forbidden: 403,
    exceptions.InvalidPath: 404,
    exceptions.RateLimitExceeded: 429,
    exceptions.InternalServerError: 500,
    exceptions.VaultNotInitialized: 503,
    exceptions.BadGateway: 502,
    exceptions.VaultDown: 503,
}


class _Part:
    """What each view of OpenBao shares: one link."""

    def __init__(self, link: Link[hvac.Client] | TokenLink[hvac.Client]) -> None:
        self._link = link

    def _maybe(self, doing: str, use: Callable[[hvac.Client], Any]) -> Any:
        try:
            return self._link.call(doing, use)
        except Missing:
            return None


class _Data(_Part):
    """What secrets say, as far as the token goes."""

    def kept(self, path: str) -> KeptSecret | None:
        """The newest version's data with the metadata, both of the same moment."""
        found = self._maybe(
            "read a secret",
            lambda client: client.secrets.kv.v2.read_secret_version(
                path, mount_point=MOUNT, raise_on_deleted_version=True
            ),
        )
        if found is None:
            return None
        told = found["data"]
        return KeptSecret(told["data"] or {}, told["metadata"].get("custom_metadata") or {})

    def write(self, path: str, data: Mapping[str, Any], version: int) -> bool:
        """Writes the version after `version`; False when that isn't the newest."""
        try:
            self._link.call(
                "write a secret",
                lambda client: client.secrets.kv.v2.create_or_update_secret(
                    path, dict(data), cas=version, mount_point=MOUNT
                ),
            )
        except BackendError as error:
            said = str(error.details.get("said", ""))
            if error.details.get("status") == 400 and said.startswith("check-and-set parameter did not match"):
                return False
            raise
        return True


class Secrets(_Part):
    """Implements `SecretStore` on the KV v2 mount `secret`.

    The service's own token sees metadata only. What secrets of an environment say is read and written with a token for
    that environment's folder, which is made for one use.
    """

    def __init__(self, link: Link[hvac.Client], logins: "Logins") -> None:
        super().__init__(link)
        self._own = link
        self._logins = logins

    @contextmanager
    def of(self, environment: str) -> Iterator[_Data]:
        """The secrets in the folder of the environment of that name, and no others."""
        issued = self._logins.issue(environment, ISSUED_SECONDS, {}, role=OPENBAO_SECRETS)
        try:
            with self._own.with_token(issued.secret) as link:
                yield _Data(link)
        finally:
            # Where it can't be revoked, it ends by itself in a minute.
            with suppress(BackendError):
                self._logins.revoke(issued.accessor)

    @contextmanager
    def _at(self, path: str) -> Iterator[_Data]:
        """Likewise, by a path: that of an environment's secret, or one that is only the service's."""
        kind, _, rest = path.partition("/")
        if kind != ENVIRONMENTS:
            yield _Data(self._own)
            return
        with self.of(rest.partition("/")[0]) as data:
            yield data

    def head(self, path: str) -> SecretHead | None:
        """The secret's newest version and metadata."""
        found = self._maybe(
            "read a secret's metadata",
            lambda client: client.secrets.kv.v2.read_secret_metadata(path, mount_point=MOUNT),
        )
        if found is None:
            return None
        data = found["data"]
        return SecretHead(int(data.get("current_version") or 0), data.get("custom_metadata") or {})

    def read(self, path: str) -> dict[str, Any] | None:
        """The newest version's data."""
        found = self.kept(path)
        return None if found is None else dict(found.data)

    def kept(self, path: str) -> KeptSecret | None:
        """The newest version's data with the metadata, both of the same moment."""
        with self._at(path) as data:
            return data.kept(path)

    def mark(self, path: str, metadata: Mapping[str, str]) -> None:
        """Sets the metadata."""
        self._link.call(
            "mark a secret",
            lambda client: client.secrets.kv.v2.update_metadata(
                path, mount_point=MOUNT, custom_metadata=dict(metadata)
            ),
        )

    def write(self, path: str, data: Mapping[str, Any], version: int) -> bool:
        """Writes the version after `version`; False when that isn't the newest."""
        with self._at(path) as folder:
            return folder.write(path, data, version)

    def remove(self, path: str) -> None:
        """Removes all versions and the metadata."""
        self._link.call(
            "delete a secret",
            lambda client: client.secrets.kv.v2.delete_metadata_and_all_versions(path, mount_point=MOUNT),
        )

    def paths(self, prefix: str, most: int | None = None) -> list[str]:
        """Full paths of all secrets below a folder, those of its folders included, however deep."""
        return list(islice(self._below(prefix), most))

    def _below(self, prefix: str) -> Iterator[str]:
        folders = [prefix]
        while folders:
            place = folders.pop()
            for name in self._names(place):
                if name.endswith("/"):
                    folders.append(place + name)
                else:
                    yield place + name

    def _names(self, folder: str) -> list[str]:
        found = self._maybe(
            "list secrets", lambda client: client.secrets.kv.v2.list_secrets(folder.rstrip("/"), mount_point=MOUNT)
        )
        return list(found["data"]["keys"]) if found else []


class Pki(_Part):
    """Implements `CertificateAuthority` and `CertificateChain` on the mount `pki`."""

    def __init__(self, link: Link[hvac.Client]) -> None:
        super().__init__(link)
        self._known: dict[str, Certificate] = {}
        self._lock = threading.Lock()

    def role(self, name: str) -> dict[str, Any] | None:
        """The role's fields."""
        found = self._maybe("read a PKI role", lambda client: client.secrets.pki.read_role(name, mount_point=PKI))
        return None if found is None else dict(found["data"])

    def write_role(self, name: str, fields: Mapping[str, Any]) -> None:
        """Makes or changes a role."""
        self._link.call(
            "write a PKI role",
            lambda client: client.secrets.pki.create_or_update_role(name, dict(fields), mount_point=PKI),
        )

    def remove_role(self, name: str) -> None:
        """Removes a role."""
        self._link.call("delete a PKI role", lambda client: client.secrets.pki.delete_role(name, mount_point=PKI))

    def leases(self, role: str) -> list[str]:
        """Ids of the leases of the role's certificates."""
        found = self._maybe("list leases", lambda client: client.sys.list_leases(f"{PKI}/issue/{role}/"))
        return [] if found is None else list(found["data"]["keys"])

    def revoke_leases(self, role: str) -> None:
        """Ends the leases and waits for it."""
        # With a slash at its end, so that the leases of `a-b` don't go with those of `a`.
        self._link.call("revoke leases", lambda client: client.sys.revoke_prefix(f"{PKI}/issue/{role}/"))

    def unrevoked(self) -> list[Certificate]:
        """Every certificate that isn't revoked; each is read once."""
        listed = self._maybe("list certificates", lambda client: client.secrets.pki.list_certificates(mount_point=PKI))
        gone = self._maybe("list certificates", lambda client: client.list(f"{PKI}/certs/revoked"))
        # The two lists write the serials differently: with hyphens and with colons.
        revoked = {_serial(serial) for serial in (gone["data"]["keys"] if gone else ())}
        serials = {_serial(serial) for serial in (listed["data"]["keys"] if listed else ())}
        found = [self._certificate(serial) for serial in sorted(serials - revoked)]
        with self._lock:
            self._known = {serial: self._known[serial] for serial in serials if serial in self._known}
        return [certificate for certificate in found if certificate is not None]

    def revoke(self, serial: str) -> None:
        """Revokes a certificate."""
        self._link.call(
            "revoke a certificate", lambda client: client.secrets.pki.revoke_certificate(serial, mount_point=PKI)
        )

    def chain(self) -> str:
        """The CA's certificates, PEM."""
        found = self._link.call("read the CA", lambda client: client.read(f"{PKI}/cert/ca_chain"))
        data = found["data"] if found else {}
        pem = data.get("ca_chain") or data.get("certificate") or ""
        return "\n".join(pem) if isinstance(pem, list) else str(pem)

    def _certificate(self, serial: str) -> Certificate | None:
        with self._lock:
            if serial in self._known:
                return self._known[serial]
        found = self._maybe(
            "read a certificate", lambda client: client.secrets.pki.read_certificate(serial, mount_point=PKI)
        )
        if found is None:
            return None
        content = x509.load_pem_x509_certificate(found["data"]["certificate"].encode())
        units = content.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        unit = str(units[0].value) if units else ""
        certificate = Certificate(serial, unit, content.not_valid_after_utc.astimezone(UTC))
        with self._lock:
            self._known[serial] = certificate
        return certificate


class Logins(_Part):
    """Implements `Identities`."""

    def __init__(self, link: Link[hvac.Client]) -> None:
        super().__init__(link)
        self._origins: dict[str, tuple[str, str]] = {}
        self._empty: dict[str, float] = {}
        self._listed: dict[str, float] = {}
        """Since when each accessor is known to be there, by the monotonic clock."""
        self._lock = threading.Lock()

    def find(self, auth_path: str, name: str) -> Identity:
        """The entity with that alias, and the tokens that were given at that login to that name."""
        entities: tuple[str, ...] = ()
        mounts = self._link.call("list auth methods", lambda client: client.sys.list_auth_methods())
        mount = mounts["data"].get(f"{auth_path}/")
        if mount is not None:
            entity = self._entity(name, mount["accessor"])
            entities = (entity,) if entity else ()
        issued = [f"create/{role}" for role in (OPENBAO_MODULES, OPENBAO_SECRETS)]
        origins = {(f"auth/{auth_path}/{made}", f"{auth_path}-{name}") for made in (*issued, "login")}
        # Without an entity there is no login whose tokens could have any right: nothing that is worth waiting for.
        accessors = self._accessors(wait=bool(entities))
        return Identity(entities, tuple(accessor for accessor in accessors if self._origin(accessor) in origins))

    def notice(self) -> None:
        """Takes note of the tokens that are there now, so that a look at them later hasn't to wait."""
        self._accessors(wait=False)

    def issue(self, name: str, seconds: int, metadata: Mapping[str, str], *, role: str = OPENBAO_MODULES) -> Issued:
        """A token for the places of the environment of that name: the policy reads the name from the entity's alias.

        `role` is one that gives the policy of its own name.
        """
        made = self._link.call(
            "make a token",
            lambda client: client.auth.token.create(
                role_name=role,
                policies=[role],
                entity_alias=name,
                display_name=name,
                meta=dict(metadata),
                ttl=f"{seconds}s",
            ),
        )
        accessor = str(made["auth"]["accessor"])
        with self._lock:
            self._origins[accessor] = (f"auth/token/create/{role}", f"token-{name}")
        return Issued(accessor, made["auth"]["client_token"])

    def revoke(self, accessor: str) -> None:
        """Revokes a token with its leases."""
        try:
            self._link.call("revoke a token", lambda client: client.auth.token.revoke_accessor(accessor))
        except Missing:
            pass
        except BackendError as error:
            if "invalid accessor" not in error.message:
                raise

    def remove_entity(self, entity: str) -> None:
        """Removes an entity with its aliases."""
        self._link.call("delete an entity", lambda client: client.secrets.identity.delete_entity(entity))

    def _entity(self, alias: str, mount_accessor: str) -> str | None:
        found = self._maybe(
            "look up an entity",
            lambda client: client.secrets.identity.lookup_entity(alias_name=alias, alias_mount_accessor=mount_accessor),
        )
        # No entity: 204 without a body, which hvac gives as the response itself.
        return str(found["data"]["id"]) if isinstance(found, dict) and found.get("data") else None

    def _accessors(self, *, wait: bool) -> list[str]:
        """All that are there, once those may be looked up of which nothing is known; without `wait` those that may."""
        found = self._maybe("list tokens", lambda client: client.auth.token.list_accessors())
        accessors = list(found["data"]["keys"]) if found else []
        now = time.monotonic()
        with self._lock:
            self._listed = {key: self._listed.get(key, now) for key in accessors}
            self._origins = {key: self._origins[key] for key in accessors if key in self._origins}
            self._empty = {key: self._empty[key] for key in accessors if key in self._empty}
            fresh = {key: since for key, since in self._listed.items() if key not in self._origins}
        if wait:
            time.sleep(max(0.0, max(fresh.values(), default=0.0) + _SETTLED - now))
            return accessors
        return [key for key in accessors if now - fresh.get(key, 0.0) >= _SETTLED]

    def _origin(self, accessor: str) -> tuple[str, str]:
        """Path and display name of a token, which never change; both empty when there is none."""
        with self._lock:
            if accessor in self._origins:
                return self._origins[accessor]
            if accessor in self._empty and time.monotonic() - self._empty[accessor] > _BEING_MADE:
                return ("", "")
        try:
            found = self._look_up(accessor)
        except BackendDenied:
            # A server that was killed while it made a token lists an accessor of nothing from then on, and answers 403
            # to each question about it. It must be told from a credential of ours that may not ask.
            if self._look_up(self._own_accessor()) is None:
                raise
            with self._lock:
                self._empty.setdefault(accessor, time.monotonic())
            found = None
        if found is None:
            return ("", "")
        origin = (found["data"].get("path") or "", found["data"].get("display_name") or "")
        with self._lock:
            self._origins[accessor] = origin
        return origin

    def _look_up(self, accessor: str) -> Any:
        """What is known of a token; None when it has ended."""
        try:
            return self._maybe("look up a token", lambda client: client.auth.token.lookup_accessor(accessor))
        except BackendError as error:
            if "invalid accessor" not in error.message and "bad token" not in error.message:
                raise
            return None

    def _own_accessor(self) -> str:
        found = self._link.call("look up its own token", lambda client: client.auth.token.lookup_self())
        return str(found["data"]["accessor"])


class VaultClient:
    """OpenBao in its three uses: `secrets`, `pki` and `logins`."""

    def __init__(self, connections: Callable[[], Connections]) -> None:
        link: Link[hvac.Client] = Link("vault", connections, _build, _explain)
        self.logins = Logins(link)
        self.secrets = Secrets(link, self.logins)
        self.pki = Pki(link)


def _build(endpoint: Endpoint, token: str, session: requests.Session) -> hvac.Client:
    verify = str(endpoint.ca_file) if endpoint.ca_file else True
    return hvac.Client(url=endpoint.address, token=token, verify=verify, timeout=CALL_LIMIT, session=session)


def _explain(error: Exception) -> Fault | None:
    if not isinstance(error, exceptions.VaultError):
        return None
    return Fault(_STATUS.get(type(error), 500), str(error.args[0] or "") if error.args else "")


def _serial(text: str) -> str:
    return text.replace("-", ":").lower()
