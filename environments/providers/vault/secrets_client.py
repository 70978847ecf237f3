"""The client's calls for secrets in the mount `secret`, with hvac."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

import hvac

from environments.domain.errors import BackendError
from environments.providers.backend.link import Link
from environments.providers.local_cluster.trust.names import OPENBAO_SECRETS
from environments.providers.vault.client_view import ClientView
from environments.providers.vault.logins_client import Logins
from environments.providers.vault.ports import MOUNT, KeptSecret, SecretHead

ENVIRONMENTS = "environments"
"""The folder of the mount `secret` that contains a folder for each environment."""


ISSUED_SECONDS = 60
"""Seconds after which a token for the secrets of one environment expires; reading many versions takes less."""


class _Data(ClientView):
    """Reads and writes the data of the secrets that a token has access to."""

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

    def version(self, path: str, number: int) -> dict[str, Any] | None:
        """One version's data."""
        found = self._maybe(
            "read a version of a secret",
            lambda client: client.secrets.kv.v2.read_secret_version(
                path, version=number, mount_point=MOUNT, raise_on_deleted_version=True
            ),
        )
        return None if found is None else dict(found["data"]["data"] or {})

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


class Secrets(ClientView):
    """Implements `SecretStore` on the KV v2 mount `secret`.

    The service's own token can read only metadata. The data of an environment's secrets is read and written with a
    token for that environment's folder, which is created for one use.
    """

    def __init__(self, link: Link[hvac.Client], logins: Logins) -> None:
        super().__init__(link)
        self._own = link
        self._logins = logins

    @contextmanager
    def of(self, environment: str) -> Iterator[_Data]:
        """The secrets in the folder of the environment of that name."""
        issued = self._logins.issue(environment, ISSUED_SECONDS, {}, role=OPENBAO_SECRETS)
        try:
            with self._own.with_token(issued.secret) as link:
                yield _Data(link)
        finally:
            # If it can't be revoked, it expires in a minute.
            with suppress(BackendError):
                self._logins.revoke(issued.accessor)

    @contextmanager
    def _at(self, path: str) -> Iterator[_Data]:
        """Access to the secret at a path, of an environment or of the service."""
        kind, _, rest = path.partition("/")
        if kind != ENVIRONMENTS:
            yield _Data(self._own)
            return
        with self.of(rest.partition("/")[0]) as data:
            yield data

    def head(self, path: str) -> SecretHead | None:
        """The secret's newest version and metadata."""
        data = self._metadata(path)
        if data is None:
            return None
        return SecretHead(int(data.get("current_version") or 0), data.get("custom_metadata") or {})

    def versions(self, path: str) -> list[int]:
        """The numbers of the versions that aren't destroyed."""
        found = (self._metadata(path) or {}).get("versions") or {}
        return sorted(int(number) for number, one in found.items() if not one.get("destroyed"))

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

    def _metadata(self, path: str) -> Mapping[str, Any] | None:
        found = self._maybe(
            "read a secret's metadata",
            lambda client: client.secrets.kv.v2.read_secret_metadata(path, mount_point=MOUNT),
        )
        return None if found is None else found["data"]

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
