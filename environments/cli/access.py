"""`calvinverse access`: why somebody can or can't, and the table of what each action takes."""

from typing import Annotated

import typer

from environments.cli.session import Session, command


@command(
    "access",
    "why",
    more="""
        Rights are explained, and not whether the state of the environment permits it now. Actions are named as in
        `calvinverse access table`, with or without what they are about: environment:update or update.
    """,
    examples="""
        calvinverse access why me update demo
        calvinverse access why bob environment:reveal demo
        calvinverse access why bob create --template web
    """,
)
def why(
    session: Session,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="A user name, or me.")],
    action: Annotated[str, typer.Argument(metavar="ACTION", help="Such as environment:update, or update.")],
    environment: Annotated[
        str | None, typer.Argument(metavar="[ENVIRONMENT]", help="By name or id, for what is done to one.")
    ] = None,
    template: Annotated[
        str | None, typer.Option("--template", "-t", metavar="NAME", help="From which to create.")
    ] = None,
) -> None:
    from environments.cli.access_tables import why_lines

    view = session.client.why_access(action, person, environment, template)
    session.show(view, lambda: why_lines(view))


@command("access", "table", examples="calvinverse access table")
def show_table(session: Session) -> None:
    from environments.cli.tables import table

    found = session.client.access_table()
    rows = ((row.action, row.on, row.role, "yes" if row.audited else "no") for row in found)
    session.show(found, lambda: table(("ACTION", "ON", "ROLE", "AUDITED"), rows))
