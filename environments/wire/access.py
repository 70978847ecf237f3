"""Access in the API: shares, roles, who may create, and why somebody may do something."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from environments.domain import shapes
from environments.domain.access import EnvironmentRole, ServiceRole
from environments.wire.fields import Duration, Moment, Request, View, Word

Subject = Annotated[Word, WithJsonSchema(shapes.SHARED_WITH)]
"""A user name, `group:NAME`, or `everyone`."""


class ShareView(View):
    """A role on an environment for a subject. `ended`: it has no effect any more."""

    subject: str
    role: EnvironmentRole
    reveal: bool
    until: datetime | None
    by: str
    at: datetime
    ended: bool


class AccessView(View):
    """Who has access to an environment, and what the caller is for it, because of what (a sentence each).

    Beside these, admins may do everything with it, and auditors see it.
    """

    environment: str
    owner: str
    shares: tuple[ShareView, ...]
    role: EnvironmentRole | None
    reveal: bool
    reasons: tuple[str, ...]


class ShareRequest(Request):
    """Shares an environment. At most one of `ttl` (a duration from now) and `until` (a moment); none: without an end.

    `reveal`: they may also reveal its secrets, which owners may anyway.
    """

    subject: Subject
    role: EnvironmentRole = EnvironmentRole.VIEWER
    reveal: bool = False
    ttl: Duration | None = None
    until: Moment | None = None


class CreatorView(View):
    """Who may create from a template. `most`: how many environments each person may have at once; None: any number."""

    template: str
    subject: str
    most: int | None
    by: str
    at: datetime


class CreatorRequest(Request):
    """Lets a subject create from a template."""

    subject: Subject
    most: int | None = Field(default=None, ge=1, le=1_000_000)


class RoleView(View):
    """A service role. `rule`: a rule of this provider (its issuer) gave it at the last sign-in; empty: a person did."""

    subject: str
    role: Literal["auditor", "admin"]
    until: datetime | None = None
    by: str = ""
    at: datetime | None = None
    rule: str = ""
    ended: bool = False


class RoleChangeView(View):
    """A role that was given or taken. `way_in`: how an admin gets in now: as a `person`, or with the `local_token`."""

    role: RoleView
    way_in: Literal["person", "local_token"] | None


class RoleRequest(Request):
    """Gives a subject a service role. At most one of `ttl` and `until`; none: without an end."""

    subject: Subject
    role: Literal["auditor", "admin"]
    ttl: Duration | None = None
    until: Moment | None = None


class WhyView(View):
    """Whether somebody may do something, and why: `has` is what they have and because of what, a sentence each.

    `needs` is what the action takes, `missing` what they lack, `givers` who can give it.
    """

    person: str
    action: str
    environment: str | None
    template: str | None
    allowed: bool
    needs: str
    role: EnvironmentRole | None
    service_role: ServiceRole
    has: tuple[str, ...]
    missing: tuple[str, ...]
    givers: tuple[str, ...]


class TableRow(View):
    """What one action takes: a role on the environment, or on the service."""

    action: str
    on: Literal["environment", "service"]
    role: str
    audited: bool
