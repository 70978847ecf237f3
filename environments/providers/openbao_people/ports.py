"""What managing people and signing them in needs of OpenBao."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from environments.service.built_in_provider import Passed


@dataclass(frozen=True)
class Login:
    """A login that succeeded: the token of it, and the entity."""

    entity: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class Entity:
    """What OpenBao knows of a person, for ever the same one: its id is the subject in identity tokens."""

    id: str
    metadata: Mapping[str, str]
    disabled: bool


@dataclass(frozen=True)
class Code:
    """The answer to a request for authorization: a code, or why there is none (`error`, as OpenID Connect names it)."""

    code: str = field(default="", repr=False)
    error: str = ""


@dataclass(frozen=True)
class OidcClient:
    """A client of the provider. `secret` is empty for the public one."""

    id: str
    redirects: tuple[str, ...]
    secret: str = field(default="", repr=False)


class PeopleCalls(Protocol):
    """OpenBao's login of people, their entities and groups, and its OpenID provider.

    All raise `BackendError`: `NotConnected` without an OpenBao, and `BackendDenied` where it isn't set up for people.
    """

    def users(self) -> list[str]:
        """All user names."""
        ...

    def set_user(self, user: str, password: str) -> None:
        """Makes a user, or replaces the password of one."""
        ...

    def log_in(self, user: str, password: str) -> Login | None:
        """None if the password is wrong, there is no such user, or the person is disabled.

        The first login of a user makes the entity.
        """
        ...

    def entities(self, users: Sequence[str]) -> dict[str, Entity]:
        """The entities of these users' logins, as far as there are any; also those of users who were deleted."""
        ...

    def entity(self, id: str) -> Entity | None:
        """The entity of that id."""
        ...

    def change_entity(
        self, id: str, *, metadata: Mapping[str, str] | None = None, disabled: bool | None = None
    ) -> None:
        """Replaces the metadata, or whether it is disabled; None: as it is."""
        ...

    def groups(self) -> dict[str, tuple[str, ...]]:
        """The groups of people, each with the ids of its members; that of all who may sign in has the name ``."""
        ...

    def set_members(self, group: str, ids: Sequence[str]) -> None:
        """Replaces the members of a group; makes it if there is none."""
        ...

    def end_logins(self, user: str) -> None:
        """Revokes the tokens of the user's logins."""
        ...

    def revoke(self, token: str) -> None:
        """Revokes the token of a login."""
        ...

    def authorize(self, token: str, request: Mapping[str, str]) -> Code:
        """Asks for a code with the token of a login."""
        ...

    def issuer(self) -> str:
        """What the provider's identity tokens name as their issuer."""
        ...

    def web_client(self) -> OidcClient:
        """The confidential client of the pages."""
        ...

    def cli_client(self) -> OidcClient:
        """The public client of the command line."""
        ...

    def pass_on(self, method: str, endpoint: str, *, body: bytes, content_type: str, authorization: str) -> Passed:
        """What an endpoint of the provider answers, whatever its status."""
        ...
