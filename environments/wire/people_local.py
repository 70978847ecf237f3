"""People of the built-in provider in the API."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from environments.wire.fields import Request, View

UserName = Annotated[str, Field(min_length=1, max_length=63)]
Groups = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=63)], ...], Field(max_length=50)]


class LocalPersonView(View):
    """A person of the built-in provider.

    `subject` is what identity tokens name; empty before there was a password. `must_change`: the password is for one
    time, until `password_until`.
    """

    user_name: str
    subject: str
    display_name: str
    email: str
    groups: tuple[str, ...]
    disabled: bool
    must_change: bool
    password_until: datetime | None = None
    created_at: datetime | None = None


class LocalPersonRequest(Request):
    """Asks for a new person; without `display_name` the user name is shown."""

    user_name: UserName
    display_name: Annotated[str, Field(max_length=200)] = ""
    email: Annotated[str, Field(max_length=254)] = ""
    groups: Groups = ()


class LocalGroupsRequest(Request):
    """All groups that the person is in from now on."""

    groups: Groups


class OneTimePasswordView(View):
    """A one-time password, shown this once; the person signs in at `address` and chooses another one before `until`."""

    person: LocalPersonView
    password: str
    until: datetime
    address: str


class IssuerView(View):
    """An issuer, and how many people have it. `built_in`: the built-in provider has it now."""

    issuer: str
    people: int
    built_in: bool


class MoveIssuerRequest(Request):
    """Asks that everybody of the issuer `old` becomes one of `new`, with the same subject."""

    old: Annotated[str, Field(min_length=1, max_length=500)]
    new: Annotated[str, Field(min_length=1, max_length=500)]


class MovedIssuerView(View):
    """How many people moved."""

    moved: int
