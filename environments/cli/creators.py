"""`calvinverse template creators`: who may create from which template."""

from typing import Annotated

import typer

from environments.cli.session import Session, command
from environments.cli.sharing import Subject

Template = Annotated[str, typer.Argument(metavar="TEMPLATE", help="As `calvinverse template list` shows it.")]


@command(
    "template",
    "creators",
    "list",
    examples="""
        calvinverse template creators list
        calvinverse template creators list web
    """,
)
def list_creators(
    session: Session,
    template: Annotated[str | None, typer.Argument(metavar="[TEMPLATE]", help="Only of this template.")] = None,
) -> None:
    from environments.cli.access_tables import creator_lines

    found = session.client.creators(template)
    session.show(found, lambda: creator_lines(found, session.zone))
    if not found and not session.json:
        session.say(f"Everybody may create from {template or 'every template'}.")


@command(
    "template",
    "creators",
    "set",
    examples="""
        calvinverse template creators set web group:platform
        calvinverse template creators set web everyone --most 2
    """,
)
def set_creator(
    session: Session,
    template: Template,
    subject: Subject,
    most: Annotated[
        int | None, typer.Option("--most", min=1, max=1_000_000, help="How many each person may have at once.")
    ] = None,
) -> None:
    from environments.cli.access_tables import creator_lines
    from environments.wire.access import CreatorRequest

    rules = session.client.set_creator(template, CreatorRequest(subject=subject, most=most))
    session.show(rules, lambda: creator_lines(rules, session.zone))
    if not session.json:
        session.say(f"Nobody else may create from {template}, except admins.")


@command("template", "creators", "remove", examples="calvinverse template creators remove web group:platform")
def remove_creator(session: Session, template: Template, subject: Subject) -> None:
    from environments.cli.access_tables import creator_lines

    rules = session.client.remove_creator(template, subject)
    session.show(rules, lambda: creator_lines(rules, session.zone))
    if not rules and not session.json:
        session.say(f"That was the last rule: everybody may create from {template} now.")
