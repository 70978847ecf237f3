"""`calvinverse env`: stop and start environments."""

from typing import Annotated

import typer

from environments.cli.options import Name, Wait
from environments.cli.session import Session, command

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept in the history.")]


@command(
    "env",
    "stop",
    more="""
        Its jobs are scaled to zero, the last made first; volumes, secrets, keys and what OpenTofu made stay. It
        can't be updated until it is started, and its deadline stays. It stays stopped until somebody starts it,
        or until the next start of its calendar, which `calvinverse env explain` shows.
    """,
    examples="""
        calvinverse env stop demo
        calvinverse env stop demo --reason "not needed this week" --no-wait
    """,
)
def stop(session: Session, name: Name, reason: Reason = "", wait: Wait = True) -> None:
    from environments.cli.following import finish

    finish(session, session.client.stop(name, reason), wait)


@command(
    "env",
    "start",
    more="""
        Its jobs run again as they ran before, in the order in which they were made; then its checks run. Jobs that ran
        to their end aren't run again. Addresses of services may have changed: what uses them is applied again. A
        start at night doesn't change when the calendar stops it next.
    """,
    examples="""
        calvinverse env start demo
        calvinverse env start demo --no-wait
    """,
)
def start(session: Session, name: Name, reason: Reason = "", wait: Wait = True) -> None:
    from environments.cli.following import finish

    finish(session, session.client.start(name, reason), wait)
