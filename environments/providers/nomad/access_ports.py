"""The ports to Nomad's ACL system, and to the identities that Nomad's workloads have in OpenBao."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from environments.steps.base import Issued


@dataclass(frozen=True)
class NomadPolicy:
    """An ACL policy of Nomad; `rules` is its text, and `description` bears the mark."""

    name: str
    description: str
    rules: str


class NomadAccess(Protocol):
    """Nomad's ACL system."""

    def policy(self, name: str) -> NomadPolicy | None:
        """The policy of that name, None if there is none."""
        ...

    def write_policy(self, policy: NomadPolicy) -> None:
        """Creates or changes a policy."""
        ...

    def remove_policy(self, name: str) -> None:
        """Removes a policy, if it is there. Its tokens stay, without its rights."""
        ...

    def tokens(self, policy: str) -> list[str]:
        """Accessor ids of the tokens that have the policy of that name, whether the policy exists or not."""
        ...

    def create_token(self, policy: str, name: str, seconds: int) -> Issued:
        """Creates a token that has the policy and expires after `seconds`. `name` contains the mark."""
        ...

    def remove_token(self, accessor: str) -> None:
        """Removes a token, if it is there."""
        ...


@dataclass(frozen=True)
class Identity:
    """What exists in OpenBao for a name: ids of entities, and accessors of tokens."""

    entities: tuple[str, ...] = ()
    accessors: tuple[str, ...] = ()


class Identities(Protocol):
    """OpenBao's tokens and identities."""

    def find(self, auth_path: str, name: str) -> Identity:
        """Entities and tokens of logins at `auth_path` as `name`; at `token`, those issued for that environment."""
        ...

    def notice(self) -> None:
        """Notes the present tokens, so that finding them later takes less time."""
        ...

    def issue(self, name: str, seconds: int, metadata: Mapping[str, str]) -> Issued:
        """Creates a token for the places of the environment of that name; it expires together with its leases."""
        ...

    def revoke(self, accessor: str) -> None:
        """Revokes a token with all its leases, if it is there."""
        ...

    def remove_entity(self, entity: str) -> None:
        """Removes an entity with its aliases, if it is there."""
        ...
