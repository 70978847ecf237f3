"""`calvinverse user`: people of the built-in provider."""

from typing import TYPE_CHECKING, Annotated

import typer

from environments.actions.registry import for_command
from environments.cli.options import Yes
from environments.cli.people import UserName
from environments.cli.session import Session, command

if TYPE_CHECKING:
    from environments.wire.people_local import OneTimePasswordView

Groups = Annotated[
    list[str] | None,
    typer.Option("--group", metavar="NAME", help="A group of the provider, which arrives as openbao/NAME; repeatable."),
]


@command(
    "user",
    "local",
    more="What the service knows of them, such as their environments, `calvinverse user list` shows.",
    examples="calvinverse user local",
)
def list_local(session: Session) -> None:
    from environments.cli.tables import table

    found = session.client.local_people()
    rows = [
        (
            one.user_name,
            "✗ disabled" if one.disabled else "○ one-time password" if one.must_change else "● enabled",
            one.display_name,
            one.email,
            ", ".join(one.groups),
        )
        for one in found
    ]
    session.show(found, lambda: table(("NAME", "STATE", "CALLED", "E-MAIL", "GROUPS"), rows))


@command(
    "user",
    "create",
    more="""
        Only the one-time password is written to standard output. The person signs in with it and chooses another one. A
        name is never given to somebody else.
    """,
    examples="""
        calvinverse user create ada --name "Ada Lovelace" --email ada@example.org
        calvinverse user create bob --group platform
    """,
)
def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits, dots, hyphens, _.")],
    display_name: Annotated[str, typer.Option("--name", metavar="TEXT", help="What the person is called.")] = "",
    email: Annotated[str, typer.Option("--email", metavar="ADDRESS", help="Counts as verified.")] = "",
    groups: Groups = None,
) -> None:
    from environments.wire.people_local import LocalPersonRequest

    request = LocalPersonRequest(user_name=name, display_name=display_name, email=email, groups=tuple(groups or ()))
    _tell(session, session.client.create_local_person(request))


@command(
    "user",
    "reset",
    more="The password ends, and sign-ins that are under way; sessions go on. See `calvinverse user disable`.",
    examples="calvinverse user reset ada --yes",
)
def reset(session: Session, name: UserName, yes: Yes = False) -> None:
    session.confirm(for_command("user", "reset"), name, yes)
    _tell(session, session.client.reset_local_person(name))


@command(
    "user",
    "groups",
    more="They count from the next sign-in on, at most a day later. Local groups of the service count at once.",
    examples="""
        calvinverse user groups ada --group platform --group web
        calvinverse user groups ada
    """,
)
def set_groups(session: Session, name: UserName, groups: Groups = None) -> None:
    from environments.wire.people_local import LocalGroupsRequest

    found = session.client.set_local_groups(name, LocalGroupsRequest(groups=tuple(groups or ())))
    session.show(found, lambda: [f"{found.user_name} is in {', '.join(found.groups) or 'no group'} of the provider."])


@command("user", "issuers", examples="calvinverse user issuers")
def issuers(session: Session) -> None:
    from environments.cli.tables import table

    found = session.client.issuers()
    rows = [(one.issuer, str(one.people), "yes" if one.built_in else "no") for one in found]
    session.show(found, lambda: table(("ISSUER", "PEOPLE", "BUILT IN"), rows))


@command(
    "user",
    "move-issuer",
    more="`doit deploy` says when this is needed. Only do it when the same provider has another address now.",
    examples="calvinverse user move-issuer https://old.example.net https://new.example.net --yes",
)
def move_issuer(
    session: Session,
    old: Annotated[str, typer.Argument(metavar="OLD", help="As `calvinverse user issuers` shows it.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="What the provider names itself now.")],
    yes: Yes = False,
) -> None:
    session.confirm(for_command("user", "move-issuer"), old, yes)
    moved = session.client.move_issuer(old, new)
    session.show(
        {"moved": moved}, lambda: [f"{moved} {'person has' if moved == 1 else 'people have'} the issuer {new}."]
    )


def _tell(session: Session, made: "OneTimePasswordView") -> None:
    from environments.moments import moment

    session.show(made, lambda: [made.password])
    session.say(
        f"This is a one-time password of {made.person.user_name}, shown only once: sign in at {made.address} and "
        f"choose another one before {moment(made.until, session.zone)}."
    )
