"""`calvinverse event`: received events, which triggers are matched with."""

from typing import TYPE_CHECKING, Annotated

import typer

from environments.cli.session import Session, command

if TYPE_CHECKING:
    from environments.client.connection import Query

EventName = Annotated[str, typer.Argument(metavar="ID", help="As `calvinverse event list` shows it.")]


@command(
    "event",
    "list",
    more="""
        Newest first, of the last 30 days. Admins and auditors see all; others those that led to a firing that they
        see. `calvinverse env logs` has what happened to an environment itself.
    """,
    examples="""
        calvinverse event list
        calvinverse event list --source git.pull_request --subject acme/shop#12
        calvinverse event list --env shop-pr-12 -o json
    """,
)
def list_events(
    session: Session,
    source: Annotated[
        str | None, typer.Option("--source", metavar="SOURCE", help="Such as git.pull_request, nomad.job.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="TEXT", help="What it is about, such as acme/shop#12.")
    ] = None,
    environment: Annotated[
        str | None, typer.Option("--env", metavar="NAME", help="About this environment, or with a firing on it.")
    ] = None,
    state: Annotated[str | None, typer.Option("--state", metavar="STATE", help="waiting, done or refused.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="NUMBER", min=1, help="At most so many.")] = 50,
) -> None:
    from environments.cli.trigger_tables import event_lines

    asked: Query = {"source": source, "subject": subject, "environment": environment, "state": state}
    found = session.client.received_events(asked, limit)
    session.show(found, lambda: event_lines(found, session.zone))
    if not found:
        session.say("No event matches.")
    elif not session.json:
        session.say(f"Next: `calvinverse event show {found[0].id}` shows what triggers did because of it.")
    if len(found) == limit:
        session.say(f"The newest {limit} are shown; --limit and the filters show others.")


@command(
    "event",
    "show",
    more="With what each trigger did to environments that you see, and why it did nothing.",
    examples="calvinverse event show evt-7f3kq2m4p6r8",
)
def show(session: Session, event_id: EventName) -> None:
    from environments.cli.trigger_tables import event_detail_lines

    found = session.client.received_event(event_id)
    session.show(found, lambda: event_detail_lines(found, session.zone))
    if not session.json and not found.firings:
        session.say("No trigger did anything. Next: `calvinverse trigger test FILE` says why not.")


@command(
    "event",
    "replay",
    more="""
        A new event says the same; triggers are matched with it as they are now, and what is done follows from what the
        source says now.
    """,
    examples="calvinverse event replay evt-7f3kq2m4p6r8",
)
def replay(session: Session, event_id: EventName) -> None:
    made = session.client.replay_event(event_id)
    session.show(made, lambda: [f"{made.id} says the same as {event_id}, and is being matched."])
    session.say(f"Next: `calvinverse event show {made.id}`.")
