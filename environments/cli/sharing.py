"""`calvinverse env share`, `env unshare` and `env access`."""

from enum import StrEnum
from typing import Annotated

import typer

from environments.cli.options import Name
from environments.cli.session import Session, command

ME = "me"

Subject = Annotated[str, typer.Argument(metavar="WHO", help="A user name, a service account, group:NAME, or everyone.")]
Ttl = Annotated[str | None, typer.Option("--ttl", metavar="DURATION", help="For how long from now: 8h, 7d.")]
Until = Annotated[
    str | None, typer.Option("--until", metavar="MOMENT", help="Until when: 2026-12-01T18:00, in your own zone.")
]


class Role(StrEnum):
    """What a share gives."""

    VIEWER = "viewer"
    PLANNER = "planner"
    OPERATOR = "operator"
    OWNER = "owner"


@command(
    "env",
    "share",
    more="""
        A viewer sees everything but secrets. A planner also plans and observes. An operator also updates, repairs,
        stops, starts and extends it. An owner may do everything. The same WHO again replaces their share.
    """,
    examples="""
        calvinverse env share demo bob
        calvinverse env share demo group:platform --role operator --ttl 7d
        calvinverse env share demo everyone --until 2026-12-01T18:00
    """,
)
def share(
    session: Session,
    name: Name,
    subject: Subject,
    role: Annotated[Role, typer.Option("--role", help="What they may do.")] = Role.VIEWER,
    reveal: Annotated[bool, typer.Option("--reveal", help="They may reveal its secrets, too.")] = False,
    ttl: Ttl = None,
    until: Until = None,
) -> None:
    from environments.cli.access_tables import access_lines, until_line
    from environments.cli.arguments import read_lifetime
    from environments.domain.access import EnvironmentRole
    from environments.wire.access import ShareRequest

    lifetime, moment = read_lifetime(ttl, until, session.zone)
    wanted = EnvironmentRole(role.value)
    request = ShareRequest(subject=subject, role=wanted, reveal=reveal, ttl=lifetime, until=moment)
    view = session.client.share(name, request)
    session.show(view, lambda: access_lines(view, session.zone))
    given = next((one for one in view.shares if one.subject == subject.strip()), None)
    if given is not None:
        session.say(until_line(view.environment, given, session.zone))


@command(
    "env",
    "unshare",
    more="With `me` as WHO you leave: your own share ends.",
    examples="""
        calvinverse env unshare demo bob
        calvinverse env unshare demo group:platform
        calvinverse env unshare demo me
    """,
)
def unshare(session: Session, name: Name, subject: Subject) -> None:
    from environments.cli.access_tables import access_lines

    own = subject.strip() == ME
    view = session.client.unshare(name, None if own else subject)
    session.show(view, lambda: access_lines(view, session.zone) if view is not None else ())
    if view is None:
        session.say(f"You don't see {name} any more.")
    else:
        session.say(f"{view.environment} is no longer shared with {'you' if own else subject}.")


@command("env", "access", examples="calvinverse env access demo")
def access(session: Session, name: Name) -> None:
    from environments.cli.access_tables import BY_ROLE, access_lines

    view = session.client.access(name)
    session.show(view, lambda: access_lines(view, session.zone))
    if not session.json:
        session.say(BY_ROLE)
