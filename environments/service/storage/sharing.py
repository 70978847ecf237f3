"""The port to the database: what is shared with whom, service roles, and who may create from which template."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from environments.domain.access import Creator, EnvironmentRole, ServiceRole, ServiceRoleGrant, Share


class ShareStanding(NamedTuple):
    """How many shares an environment has, and the most that they give somebody: a role and whether they may reveal."""

    shares: int
    role: EnvironmentRole | None = None
    reveal: bool = False


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

    def ended(self, before: datetime, limit: int) -> list[Share]:
        """Shares that ended before a moment, the first ones first."""
        ...

    def standings(
        self, environment_ids: Collection[str], subjects: Collection[str], now: datetime | None
    ) -> Mapping[str, ShareStanding]:
        """What the shares that hold at that moment say of each environment that has one, for these subjects.

        At an unknown moment only those without an end hold.
        """
        ...


class ClaimedRole(NamedTuple):
    """The service role that a rule of a provider gave to a person at their last sign-in."""

    person: str
    role: ServiceRole
    issuer: str
    since: datetime | None


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

    def claimed(self) -> list[ClaimedRole]:
        """Roles of people who aren't disabled, by rules of their providers; by user name."""
        ...

    def alone(self) -> None:
        """Until the transaction ends no other one that calls this changes grants."""
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
