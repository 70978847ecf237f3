"""The port to the database: what is shared with whom, service roles, and who may create from which template."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Protocol

from environments.domain.access import Creator, ServiceRoleGrant, Share


class Shares(Protocol):
    """Roles on single environments."""

    def put(self, share: Share) -> Share | None:
        """Adds a share, in place of one for the same environment and subject, which it returns."""
        ...

    def remove(self, environment_id: str, subject: str) -> Share | None:
        """Takes it away and returns it; None if there was none."""
        ...

    def of(self, environment_id: str, subjects: Iterable[str] | None = None) -> list[Share]:
        """The shares of an environment by subject; of these subjects only, if they are given. Expired ones too."""
        ...

    def of_many(self, environment_ids: Collection[str]) -> Mapping[str, tuple[Share, ...]]:
        """The shares of several environments, by id."""
        ...

    def with_subject(self, subject: str, limit: int) -> list[Share]:
        """What is shared with a subject, the newest first."""
        ...

    def forget_expired(self, before: datetime) -> int:
        """Deletes shares that ended before a moment; returns how many."""
        ...


class ServiceRoles(Protocol):
    """Service roles for subjects."""

    def put(self, grant: ServiceRoleGrant) -> None:
        """Adds a grant, in place of one for the same subject."""
        ...

    def remove(self, subject: str) -> ServiceRoleGrant | None:
        """Takes it away and returns it; None if there was none."""
        ...

    def all(self) -> list[ServiceRoleGrant]:
        """By subject."""
        ...


class Creators(Protocol):
    """Who may create from which template."""

    def put(self, creator: Creator) -> None:
        """Adds a rule, in place of one for the same template and subject."""
        ...

    def remove(self, template: str, subject: str) -> Creator | None:
        """Takes it away and returns it; None if there was none."""
        ...

    def of(self, template: str) -> list[Creator]:
        """The rules of a template by subject; none: everybody may create from it."""
        ...

    def all(self) -> list[Creator]:
        """By template and subject."""
        ...
