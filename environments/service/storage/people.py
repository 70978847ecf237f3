"""The port to the database: people, groups, and who is in which."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from environments.domain.access import Group, Membership, Person, PersonKind, ServiceRole
from environments.service.pages import Page


class Standing(NamedTuple):
    """What decides about a principal's rights beside their token. `person` None: the name has no record."""

    person: Person | None
    groups: frozenset[str]
    role: ServiceRole
    """The highest of those that were given to them, to their groups and to everyone, and of the provider's rules."""


class Owned(NamedTuple):
    """How many environments that haven't ended, tokens and sessions that are good, somebody has."""

    environments: int
    tokens: int
    sessions: int


class WayIn(StrEnum):
    """How an admin can get in."""

    PERSON = "person"
    LOCAL_TOKEN = "local_token"


class People(Protocol):
    """People, service accounts and unclaimed owners, by user name. None of them is ever deleted: see `give_back`."""

    def add(self, person: Person) -> None:
        """Adds a person. Raises `NameTaken`, also if the identity is known."""
        ...

    def keep(self, name: str, kind: PersonKind, now: datetime, by: str) -> None:
        """Adds somebody of this name unless there is one: names of owners are never given to others."""
        ...

    def give_back(self, name: str) -> None:
        """Deletes a user name that was kept for a person of the built-in provider who was not made after all."""
        ...

    def get(self, name: str) -> Person | None:
        """Somebody, by user name. In a writing transaction nobody else can change them until it ends."""
        ...

    def by_identity(self, issuer: str, subject: str) -> Person | None:
        """The person of an identity; likewise."""
        ...

    def taken(self, names: Collection[str]) -> frozenset[str]:
        """Which of these names are taken."""
        ...

    def change(self, name: str, **values: Any) -> None:
        """Writes the named columns."""
        ...

    def all(
        self, *, kind: PersonKind | None = None, after: str = "", limit: int | None = None, disabled: bool | None = None
    ) -> Page[Person]:
        """By name, behind the name `after`."""
        ...

    def names(self, limit: int) -> list[str]:
        """Names, for suggestions."""
        ...

    def standing(self, name: str, now: datetime) -> Standing:
        """Groups and service role of somebody at that moment."""
        ...

    def move_issuer(self, old: str, new: str) -> int:
        """Everybody of the old issuer becomes one of the new issuer, with the same subject; returns how many.

        Raises `NameTaken` when the new issuer has one of these subjects already.
        """
        ...

    def hand_over(self, old: str, new: str) -> Mapping[str, int]:
        """All that belongs to the name `old` belongs to `new`: environments, tokens, policies, plans,
        groups, triggers, shares.

        Returns how many, by kind.
        """
        ...

    def belongings(self, name: str) -> Mapping[str, int]:
        """How many things `hand_over` concerns, by kind."""
        ...

    def owned(self, names: Collection[str], now: datetime) -> Mapping[str, Owned]:
        """What each of these has."""
        ...

    def answering_for(self, responsible: str) -> list[str]:
        """The service accounts for which this subject is responsible, by name."""
        ...

    def way_in(self, besides: str, now: datetime) -> WayIn | None:
        """How an admin other than `besides` can get in: as a person who can sign in, else with the local token."""
        ...

    def changes(self) -> int:
        """How often people, groups, roles and shares have changed: other reads are the same while this is."""
        ...


class Groups(Protocol):
    """Groups and their members."""

    def add(self, group: Group) -> None:
        """Adds a group. Raises `NameTaken`."""
        ...

    def get(self, name: str) -> Group | None:
        """One group."""
        ...

    def all(self, *, after: str = "", limit: int | None = None) -> Page[Group]:
        """By name, behind the name `after`."""
        ...

    def remove(self, name: str) -> None:
        """Deletes a group with its memberships, and what was shared with it."""
        ...

    def members(self, name: str, *, after: str = "", limit: int | None = None) -> Page[Membership]:
        """A group's members by name."""
        ...

    def of(self, person: str) -> list[Membership]:
        """Somebody's groups, by name."""
        ...

    def of_many(self, people_names: Collection[str]) -> Mapping[str, tuple[Membership, ...]]:
        """The groups of each of these people who is in one."""
        ...

    def sizes(self, names: Collection[str]) -> Mapping[str, int]:
        """The number of members of each of these groups that has any."""
        ...

    def gives(self, name: str) -> Mapping[str, int]:
        """How many things depend on a group, by kind: `environments` that it owns, `members`, `shares` and so on."""
        ...

    def change(self, name: str, **values: Any) -> None:
        """Writes the named columns."""
        ...

    def join(self, group: str, person: str, now: datetime) -> bool:
        """Adds a member to a local group; False if they are one already."""
        ...

    def leave(self, group: str, person: str) -> bool:
        """Takes a member out of a local group; False if they aren't one."""
        ...

    def set_claimed(
        self, person: str, provider: str, values: Iterable[str], now: datetime
    ) -> tuple[list[str], list[str]]:
        """The person's groups of a provider's claim become these values: `PROVIDER/VALUE`, made if there is none.

        Returns the names of groups that were added and taken away.
        """
        ...
