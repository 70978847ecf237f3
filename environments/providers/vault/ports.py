"""What steps need of OpenBao's KV v2 mount `secret`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

MOUNT = "secret"
"""Name of the KV v2 mount."""


@dataclass(frozen=True)
class SecretHead:
    """What is known of a secret without reading it: its newest version (0: none yet) and its metadata."""

    version: int
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class KeptSecret:
    """The newest version of a secret: its data and the metadata, as they are at the same moment."""

    data: Mapping[str, Any] = field(repr=False)
    metadata: Mapping[str, str]


class SecretStore(Protocol):
    """Paths have no mount."""

    def head(self, path: str) -> SecretHead | None:
        """The secret's metadata, None if there is none."""
        ...

    def read(self, path: str) -> dict[str, Any] | None:
        """The newest version's data, None if there is none or it is deleted."""
        ...

    def kept(self, path: str) -> KeptSecret | None:
        """Likewise, with the metadata of the same moment."""
        ...

    def mark(self, path: str, metadata: Mapping[str, str]) -> None:
        """Sets the metadata; makes the secret without a version if there is none."""
        ...

    def write(self, path: str, data: Mapping[str, Any], version: int) -> bool:
        """Writes the version after `version`; False when that isn't the newest."""
        ...

    def remove(self, path: str) -> None:
        """Removes all versions and the metadata, if there are any."""
        ...

    def paths(self, prefix: str, most: int | None = None) -> list[str]:
        """Full paths of all secrets below a folder, which ends with a slash: also of those whose versions are deleted.

        With `most` so many at most: then no more is listed than is needed for that.
        """
        ...
