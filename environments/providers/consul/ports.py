"""The ports to Consul: keys, ACL policies and tokens, and the catalogue of services."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from environments.steps.base import Issued


@dataclass(frozen=True)
class Entry:
    """A key's value, its flags (which identify the step that wrote it) and the index of its last change."""

    value: bytes
    flags: int
    index: int


@dataclass(frozen=True)
class Put:
    """Sets a key."""

    key: str
    value: bytes
    flags: int = 0


@dataclass(frozen=True)
class Create:
    """Sets a key that must not exist yet."""

    key: str
    value: bytes


@dataclass(frozen=True)
class Remove:
    """Deletes a key, if it is there."""

    key: str


@dataclass(frozen=True)
class RemoveTree:
    """Deletes every key that begins with the prefix."""

    prefix: str


@dataclass(frozen=True)
class Unchanged:
    """Changes nothing, but fails the commit if the key was changed since `index`."""

    key: str
    index: int


Operation = Put | Create | Remove | RemoveTree | Unchanged
"""A part of a transaction."""


class KeyValueStore(Protocol):
    """Keys and their values in Consul."""

    def tree(self, prefix: str) -> dict[str, Entry]:
        """Every key that begins with the prefix, with its value."""
        ...

    def keys(self, prefix: str) -> list[str]:
        """The names of the same keys, without their values."""
        ...

    def entry(self, key: str) -> Entry | None:
        """One key, None if there is none."""
        ...

    def commit(self, changes: Sequence[Operation]) -> bool:
        """Makes all changes (see `batches`); if a condition of one fails, makes none and returns False."""
        ...

    def replace(self, key: str, value: bytes, flags: int, index: int) -> bool:
        """Sets a key if it was last changed at `index`, else returns False. For values too large for a transaction."""
        ...


Rules = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Rules of a policy as JSON: kind of resource → name or prefix → `policy` → read or write."""


@dataclass(frozen=True)
class Policy:
    """An ACL policy of Consul."""

    id: str
    name: str
    description: str
    rules: Rules


class AccessControl(Protocol):
    """Policies and tokens of Consul's ACL system."""

    def policy(self, name: str) -> Policy | None:
        """The policy of that name."""
        ...

    def create_policy(self, name: str, description: str, rules: Rules) -> bool:
        """Creates a policy; False if there is one of that name."""
        ...

    def update_policy(self, policy: Policy) -> None:
        """Changes the policy of that id."""
        ...

    def remove_policy(self, policy_id: str) -> None:
        """Removes a policy, if it is there."""
        ...

    def tokens(self, policy_id: str) -> list[str]:
        """Accessor ids of the tokens that have the policy."""
        ...

    def create_token(self, policy: str, description: str, seconds: int) -> Issued:
        """Creates a token that has the policy of that name and expires after `seconds`.

        `description` contains the mark.
        """
        ...

    def remove_token(self, accessor: str) -> None:
        """Removes a token, if it is there."""
        ...


@dataclass(frozen=True)
class Instance:
    """One registration of a service. `address` is where it listens; `passing` is None if health wasn't queried."""

    id: str
    service: str
    node: str
    address: str
    port: int
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    passing: bool | None = None


@dataclass(frozen=True, order=True)
class ConfigEntry:
    """A configuration entry of a service: routing, splitting, redirection or protocol."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"


CONFIG_KINDS = ("service-router", "service-splitter", "service-resolver", "service-defaults")
"""Kinds of configuration entries that write access to a service allows to write. Each may refer to later kinds.

Intentions need a separate right, and all other kinds write access to the mesh.
"""


class Catalogue(Protocol):
    """Consul's catalogue of services, their health and configuration entries."""

    def services(self, prefix: str) -> list[str]:
        """Names of all services that begin with the prefix."""
        ...

    def registered(self, prefix: str) -> list[Instance]:
        """Every instance of a service whose name begins with the prefix, for any name and id; without health."""
        ...

    def instances(self, service: str, *, index: int = 0, wait: float = 0.0) -> tuple[int, list[Instance]]:
        """A service's instances with their health, and an index for the next call, which then waits for a change."""
        ...

    def deregister(self, instance: Instance) -> None:
        """Removes an instance from its agent and from the catalogue."""
        ...

    def configured(self, prefix: str) -> list[ConfigEntry]:
        """All entries of `CONFIG_KINDS` whose name begins with the prefix, in an order in which they can be removed."""
        ...

    def unconfigure(self, entry: ConfigEntry) -> None:
        """Removes an entry, if it is there. Raises `BackendError`, also while another entry needs it."""
        ...


class ConsulApi(KeyValueStore, AccessControl, Catalogue, Protocol):
    """All ports to Consul."""
