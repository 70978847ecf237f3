"""`calvinverse role`: who is an admin or an auditor of the service."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from environments.actions.registry import for_command
from environments.cli.options import Yes
from environments.cli.session import Session, command
from environments.cli.sharing import Subject, Ttl, Until

if TYPE_CHECKING:
    from environments.wire.access import RoleChangeView


class Role(StrEnum):
    """A role on the service."""

    ADMIN = "admin"
    AUDITOR = "auditor"


@command("role", "list", examples="calvinverse role list")
def list_roles(session: Session) -> None:
    from environments.cli.access_tables import role_lines

    found = session.client.roles()
    session.show(found, lambda: role_lines(found, session.zone))
    if not found and not session.json:
        session.say("Nobody has a role: admins get in with the local admin token only.")


@command(
    "role",
    "grant",
    more="The same WHO again replaces their role.",
    examples="""
        calvinverse role grant grace admin
        calvinverse role grant group:security auditor
        calvinverse role grant bob admin --ttl 8h
    """,
)
def grant(
    session: Session,
    subject: Subject,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="admin or auditor.")],
    ttl: Ttl = None,
    until: Until = None,
) -> None:
    from environments.cli.access_tables import role_lines
    from environments.cli.arguments import read_lifetime
    from environments.wire.access import RoleRequest

    lifetime, moment = read_lifetime(ttl, until, session.zone)
    done = session.client.grant_role(RoleRequest(subject=subject, role=role.value, ttl=lifetime, until=moment))
    session.show(done, lambda: role_lines([done.role], session.zone))


@command(
    "role",
    "revoke",
    more="Refused if no admin could get in any more. Roles that a rule of a provider gives end with that rule.",
    examples="calvinverse role revoke grace",
)
def revoke(session: Session, subject: Subject, yes: Yes = False) -> None:
    from environments.cli.access_tables import role_lines

    session.confirm(for_command("role", "revoke"), subject, yes)
    done = session.client.revoke_role(subject)
    session.show(done, lambda: role_lines([done.role], session.zone))
    session.say(_left(done))
    for token in _tokens_left(session, subject):
        session.say(f"The token {token} has a role of its own: `calvinverse token revoke {token}` ends it.")


def _tokens_left(session: Session, subject: str) -> list[str]:
    """Tokens of an unclaimed owner, which go on with a role of their own; those of people do what these may."""
    from environments.domain.access import PersonKind
    from environments.domain.errors import NotFound

    try:
        if session.client.person(subject).kind is not PersonKind.UNCLAIMED:
            return []
    except NotFound:
        return []
    now = session.now()
    return [
        token.id
        for token in session.client.tokens()
        if token.owner == subject
        and token.role in ("admin", "auditor")
        and token.revoked_at is None
        and (token.expires_at is None or token.expires_at > now)
    ]


def _left(done: "RoleChangeView") -> str:
    gone = f"{done.role.subject} is no longer {done.role.role}."
    return f"{gone} Only the local admin token gets an admin in now." if done.way_in == "local_token" else gone
