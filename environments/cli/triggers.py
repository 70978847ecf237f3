"""`calvinverse trigger`: rules that turn received events into actions."""

from typing import Annotated

import typer

from environments.cli.session import Session, command

Environment = Annotated[
    str | None, typer.Option("--env", metavar="NAME", help="On this environment, by name or id; default: alone.")
]
Which = Annotated[
    str, typer.Argument(metavar="TRIGGER", help="Its name (with --env one on that environment), or its id.")
]


@command(
    "trigger",
    "list",
    more="Without --env those that act for you; admins and auditors see all.",
    examples="""
        calvinverse trigger list
        calvinverse trigger list --env shop-pr-12
    """,
)
def list_triggers(session: Session, environment: Environment = None) -> None:
    from environments.cli.trigger_tables import trigger_lines

    client = session.client
    found = client.triggers() if environment is None else client.environment_triggers(environment)
    session.show(found, lambda: trigger_lines(found))
    if not found and not session.json:
        session.say("There are no triggers. Next: write one, and `calvinverse trigger set FILE`.")


@command(
    "trigger",
    "show",
    more="With what it did last, on environments that you see.",
    examples="""
        calvinverse trigger show previews
        calvinverse trigger show stop-when-idle --env demo
    """,
)
def show(session: Session, trigger: Which, environment: Environment = None) -> None:
    from environments.cli.trigger_tables import trigger_detail_lines

    found = session.client.trigger(_id(session, trigger, environment))
    session.show(found, lambda: trigger_detail_lines(found, session.zone))
    if found.firings:
        session.say(f"Next: `calvinverse event show {found.firings[0].event_id}` shows what led to the newest one.")


@command(
    "trigger",
    "remove",
    more="What it has begun goes on.",
    examples="""
        calvinverse trigger remove previews
        calvinverse trigger remove rest --env demo
    """,
)
def remove(session: Session, trigger: Which, environment: Environment = None) -> None:
    gone = session.client.remove_trigger(_id(session, trigger, environment))
    session.show(gone, lambda: [f"The trigger {gone.name} was removed."])
    session.say("Next: `calvinverse trigger list` shows what is left.")


@command(
    "trigger",
    "pause",
    more="It does nothing until it is resumed; what happens meanwhile is not made up for.",
    examples="calvinverse trigger pause previews",
)
def pause(session: Session, trigger: Which, environment: Environment = None) -> None:
    done = session.client.change_trigger(_id(session, trigger, environment), paused=True)
    session.show(done, lambda: [f"The trigger {done.name} is paused."])
    where = f" --env {environment}" if environment else ""
    session.say(f"Next: `calvinverse trigger resume {trigger}{where}`.")


@command(
    "trigger",
    "resume",
    examples="calvinverse trigger resume previews",
)
def resume(session: Session, trigger: Which, environment: Environment = None) -> None:
    done = session.client.change_trigger(_id(session, trigger, environment), paused=False)
    session.show(done, lambda: [f"The trigger {done.name} acts again."])
    session.say("Next: `calvinverse trigger test FILE` tells what an event would do.")


def _id(session: Session, said: str, environment: str | None) -> str:
    """The id of a trigger that a person names. Raises `NotFound`."""
    from environments.domain.errors import NotFound
    from environments.domain.suggesting import told

    client = session.client
    if said.startswith("trg-") and environment is None:
        return said
    found = client.triggers() if environment is None else client.environment_triggers(environment)
    named = [one for one in found if said in (one.name, one.id)]
    if environment is None:
        named = [one for one in named if not one.environment] or named
    if not named:
        where = "" if environment is None else f" on {environment}"
        raise NotFound(
            told(f"There is no trigger {said!r}{where}.", said, [one.name for one in found]),
            hint=f"See `calvinverse trigger list{'' if environment is None else f' --env {environment}'}`.",
        )
    if named[0].template:
        raise NotFound(
            f"The trigger {said!r} stands in the template {named[0].template}, and not on the environment alone.",
            hint=f"`calvinverse trigger list --env {environment} -o json` has its definition; "
            "an admin changes the template.",
        )
    if len(named) > 1:
        raise NotFound(
            f"{len(named)} triggers are named {said!r}.",
            hint=f"Give the id of one: {', '.join(one.id for one in named[:5])}.",
        )
    return named[0].id
