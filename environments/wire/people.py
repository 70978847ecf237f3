"""People and groups in the API."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import WithJsonSchema

from environments.domain import shapes
from environments.domain.access import PersonKind, ServiceRole
from environments.wire.fields import Request, Text, View, Word

Subject = Annotated[Word, WithJsonSchema(shapes.SUBJECT)]


class MembershipView(View):
    """A person in a group, by `local` choice of an admin or because a `claim` of their provider said so."""

    group: str
    person: str
    source: Literal["local", "claim"]
    since: datetime


class PersonView(View):
    """Somebody who can own environments: a person, a service account, or the name of an unclaimed owner.

    `role` is the service role at the moment, `reasons` says because of what. `issuer` names the provider of a person.
    `environments` that haven't ended, `tokens` and `sessions` that are good: how many. `successor` gets their
    environments when they are disabled. `became`: whose their things are now.
    """

    name: str
    kind: PersonKind
    display_name: str = ""
    email: str = ""
    issuer: str | None = None
    groups: tuple[MembershipView, ...] = ()
    role: ServiceRole
    reasons: tuple[str, ...] = ()
    environments: int
    tokens: int
    sessions: int
    signed_in_at: datetime | None = None
    created_at: datetime
    created_by: str = ""
    disabled_at: datetime | None = None
    disabled_by: str = ""
    successor: str = ""
    responsible: str = ""
    became: str = ""
    note: str = ""


class DisableRequest(Request):
    """Disables somebody. `successor` gets their environments; empty: the one in their record, else the rule decides.

    `exact`: the name means what it is here, also if the built-in provider calls somebody else so.
    """

    successor: Subject = ""
    exact: bool = False


class SuccessorRequest(Request):
    """Says who gets somebody's environments when they are disabled; empty: the rule decides."""

    successor: Subject


class DepartureView(View):
    """What disabling somebody did: `environments` (the first of `moved`) are those of `heir` now, because of `why`.

    `heir` empty: they stay theirs. `ended` sessions and tokens ended. `accounts`: service accounts for which the heir
    is responsible now.
    """

    person: PersonView
    heir: str
    why: str
    moved: int
    environments: tuple[str, ...] = ()
    ended: int
    accounts: tuple[str, ...] = ()


class AssignRequest(Request):
    """Gives what belongs to an unclaimed owner to the person `to`; `keep_name`: they are called as the owner then."""

    to: Annotated[Word, WithJsonSchema(shapes.PERSON)]
    keep_name: bool = False


class AssignmentView(View):
    """An old owner that is a person's: they are called `name`, `given_up` stays reserved. `moved`: kind → number."""

    name: str
    given_up: str
    moved: dict[str, int]
    applied: bool


class TransferRequest(Request):
    """Gives an environment to a person, a service account, or a group (`group:NAME`)."""

    to: Annotated[Word, WithJsonSchema(shapes.PERSON)]


class GroupView(View):
    """A group. `provider` names the provider whose claim it comes from; empty: it is a local one."""

    name: str
    provider: str = ""
    description: str = ""
    members: int
    created_at: datetime
    created_by: str = ""


class GroupRequest(Request):
    """Makes a local group."""

    name: Annotated[Word, WithJsonSchema(shapes.LOCAL_GROUP)]
    description: Text = ""


class DescribeRequest(Request):
    """Replaces what is said of a group."""

    description: Text


class GroupDeletionView(View):
    """A group that is deleted, and what that takes away: kind → number."""

    group: str
    takes_away: dict[str, int]
    applied: bool
