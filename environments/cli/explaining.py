"""`calvinverse env explain`: what will happen to an environment and what happened, when, and why."""

from typing import Annotated

import typer

from environments.cli.options import Name
from environments.cli.session import Session, command


@command(
    "env",
    "explain",
    more="""
        Lists what the calendar will do to it, in your time zone and in UTC, and because of which rule: that of its
        template, its own, or what somebody set. Nothing follows a destroy.

        Then what happened to it: why it was stopped, started, extended or destroyed, by which rule, and who asked for
        it. The service keeps that for 90 days, unless it is set otherwise.
    """,
    examples="""
        calvinverse env explain demo
        calvinverse env explain demo --moments 3
        calvinverse env explain demo --why-not
        calvinverse env explain demo --past 50
    """,
)
def explain(
    session: Session,
    name: Name,
    moments: Annotated[int, typer.Option("--moments", min=1, max=100, help="Show at most so many.")] = 10,
    why_not: Annotated[
        bool, typer.Option("--why-not", help="Also what won't happen, though a rule names it, and why not.")
    ] = False,
    past: Annotated[
        int, typer.Option("--past", min=0, max=100, help="Show at most so much of what happened; 0: nothing.")
    ] = 10,
) -> None:
    from environments.cli.explanation_tables import explanation_lines
    from environments.cli.offering import known, offer

    found = session.client.explain(name, moments, why_not=why_not, past=past)
    session.show(found, lambda: explanation_lines(found, session.zone, session.now()))
    if found.moments and (view := known(session, name)) is not None:
        extend = f"`calvinverse env extend {found.environment} 2h` moves the deadline"
        session.say(offer(view, "extend", extend, "move the deadline"))
