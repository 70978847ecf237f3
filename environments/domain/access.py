"""Who may do what: people, groups, roles, and what is shared with whom.

A *subject* is what a role can be given to, as a text: the user name of a person or a service account, `group:NAME`, or
`everyone`.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

EVERYONE = "everyone"
GROUP = "group:"

LOCAL_GROUP = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""A local group's name. That of a claim's group is its provider's name, a slash, and what the claim says."""

USER_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
"""A user name that is given to somebody new. Names of owners from early versions may be any text."""


class EnvironmentRole(StrEnum):
    """What somebody is for an environment; each role may do what those before it may."""

    VIEWER = "viewer"
    PLANNER = "planner"
    OPERATOR = "operator"
    OWNER = "owner"

    @property
    def rank(self) -> int:
        """The higher, the more it may do."""
        return list(EnvironmentRole).index(self)

    def covers(self, needed: "EnvironmentRole") -> bool:
        """Whether it may do what `needed` may."""
        return self.rank >= needed.rank


class ServiceRole(StrEnum):
    """What somebody is for the service; an auditor sees everything and changes nothing that isn't their own."""

    USER = "user"
    AUDITOR = "auditor"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """The higher, the more it may do."""
        return list(ServiceRole).index(self)


TokenRole = Literal["user", "auditor", "admin", "own"]
"""The most that a token may; `own`: whatever the service roles of its owner are when it is used."""


def group_subject(group: str) -> str:
    """The subject of a group."""
    return f"{GROUP}{group}"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class TokenScope(_Record):
    """What a token is limited to; None: not limited. `environments` are ids, `actions` as in `Action`."""

    actions: tuple[str, ...] | None = None
    templates: tuple[str, ...] | None = None
    environments: tuple[str, ...] | None = None

    @property
    def limits_environments(self) -> bool:
        """Whether some environments are out of reach."""
        return self.templates is not None or self.environments is not None

    def reaches(self, environment_id: str, template: str) -> bool:
        """Whether an environment made from that template is within it."""
        if self.templates is not None and template not in self.templates:
            return False
        return self.environments is None or environment_id in self.environments

    def within(self, other: "TokenScope") -> bool:
        """Whether it allows nothing that the other one doesn't."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in type(self).model_fields)
        return all(theirs is None or (ours is not None and set(ours) <= set(theirs)) for ours, theirs in pairs)


class PersonKind(StrEnum):
    """What a user name stands for; `unclaimed`: an owner of an early version, or of a token that an admin made."""

    PERSON = "person"
    SERVICE_ACCOUNT = "service_account"
    UNCLAIMED = "unclaimed"


class Person(_Record):
    """Whoever can own environments, by user name, which is never given to anybody else. Times are UTC.

    A person is known by `issuer` and `subject`; everything else that a provider says may change hands. A person with an
    issuer and no subject is one of the built-in provider who is being made, or whose first sign-in tells the subject.
    """

    name: str
    kind: PersonKind
    issuer: str | None = None
    subject: str | None = None
    display_name: str = ""
    email: str = ""
    """Verified by the provider; else empty."""
    claim_groups: tuple[str, ...] | None = None
    """The groups that a claim last told; None: the claim has never come."""
    claim_role: ServiceRole = ServiceRole.USER
    """The service role by the provider's rules, at the last sign-in."""
    signed_in_at: datetime | None = None
    created_at: datetime
    created_by: str = ""
    disabled_at: datetime | None = None
    disabled_by: str = ""
    successor: str = ""
    """Who gets their environments when they are disabled: a user name or `group:NAME`; empty: by the rule."""
    responsible: str = ""
    """Of a service account: the subject that answers for it and makes its tokens."""
    became: str = ""
    """Whose this name's things are now, if it was merged with another one."""
    note: str = ""


class Group(_Record):
    """A group of people. `provider` is empty for a local one, whose members an admin chooses."""

    name: str
    provider: str = ""
    description: str = ""
    created_at: datetime
    created_by: str = ""


class Membership(_Record):
    """A person in a group, by `local` choice or because a `claim` said so."""

    group: str
    person: str
    source: Literal["local", "claim"]
    since: datetime


class Share(_Record):
    """A role on one environment for a subject; `until` None: without an end."""

    id: str
    environment_id: str
    subject: str
    role: EnvironmentRole
    reveal: bool = False
    until: datetime | None = None
    by: str
    at: datetime

    def holds(self, now: datetime | None) -> bool:
        """Whether it counts at that moment; at an unknown one only if it has no end."""
        return self.until is None or (now is not None and now < self.until)


class ServiceRoleGrant(_Record):
    """A service role for a subject; `until` None: without an end."""

    subject: str
    role: ServiceRole
    until: datetime | None = None
    by: str
    at: datetime


class Creator(_Record):
    """Who may create from a template, and how many of its environments they may have at once (None: any number)."""

    template: str
    subject: str
    most: int | None = None
    by: str
    at: datetime


class SharedTo(_Record):
    """What decides who sees an environment."""

    id: str
    template: str
    owner: str
    shares: tuple[Share, ...] = ()


class Sight(_Record):
    """What a principal may see. `subjects` None: everything that the other limits leave; `now`: see `Share.holds`."""

    subjects: frozenset[str] | None = None
    now: datetime | None = None
    templates: frozenset[str] | None = None
    environments: frozenset[str] | None = None

    @property
    def unlimited(self) -> bool:
        """Whether it sees everything."""
        return self.subjects is None and not self.limited

    @property
    def limited(self) -> bool:
        """Whether it leaves out environments whoever owns them."""
        return self.templates is not None or self.environments is not None

    def sees(self, found: SharedTo) -> bool:
        """Whether an environment is in sight. `environments.stores.sight` says the same in SQL."""
        if self.templates is not None and found.template not in self.templates:
            return False
        if self.environments is not None and found.id not in self.environments:
            return False
        if self.subjects is None or found.owner in self.subjects:
            return True
        return any(share.subject in self.subjects and share.holds(self.now) for share in found.shares)

    @classmethod
    def of(cls, subjects: Iterable[str] | None, scope: TokenScope | None = None, now: datetime | None = None) -> Self:
        """Of these subjects (None: of somebody who sees all) by a token of that scope."""
        limits: dict[str, Any] = {}
        if scope is not None:
            limits = {
                "templates": None if scope.templates is None else frozenset(scope.templates),
                "environments": None if scope.environments is None else frozenset(scope.environments),
            }
        return cls(subjects=None if subjects is None else frozenset(subjects), now=now, **limits)


EVERYTHING = Sight()


class Access(_Record):
    """What somebody is for an environment, and because of what (one sentence each). `role` None: it isn't visible."""

    role: EnvironmentRole | None = None
    reveal: bool = False
    reasons: tuple[str, ...] = Field(default_factory=tuple)
