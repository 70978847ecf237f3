"""`calvinverse user`: people, and who gets what they have."""

from typing import Annotated

import typer

from environments.actions.registry import for_command
from environments.cli.options import Name, Yes
from environments.cli.session import Session, command

UserName = Annotated[str, typer.Argument(metavar="NAME", help="A user name, as `calvinverse user list` shows it.")]
Exact = Annotated[
    bool, typer.Option("--exact", help="NAME is the user name here, whomever the built-in provider calls so.")
]
To = Annotated[str, typer.Argument(metavar="TO", help="A user name, or `group:NAME`.")]


@command(
    "user",
    "list",
    more="""
        An unclaimed owner is a name from before there were people, or of a token that an admin made: `calvinverse user
        assign` gives its things to a person.
    """,
    examples="""
        calvinverse user list
        calvinverse user list --unclaimed
        calvinverse user list --disabled -o json
    """,
)
def list_people(
    session: Session,
    unclaimed: Annotated[bool, typer.Option("--unclaimed", help="Only owners who are nobody's yet.")] = False,
    disabled: Annotated[bool, typer.Option("--disabled", help="Only those who are disabled.")] = False,
) -> None:
    from environments.cli.people_tables import people_lines
    from environments.domain.access import PersonKind

    kind = PersonKind.UNCLAIMED if unclaimed else None
    found = session.client.people(kind=kind, disabled=True if disabled else None)
    if unclaimed:
        found = [person for person in found if not person.became]
    session.show(found, lambda: people_lines(found, session.now()))


@command(
    "user",
    "show",
    examples="""
        calvinverse user show ada
        calvinverse user show ada -o json | jq .groups
    """,
)
def show_person(session: Session, name: UserName) -> None:
    from environments.cli.people_tables import person_lines

    found = session.client.person(name)
    session.show(found, lambda: person_lines(found, session.zone))


@command(
    "user",
    "disable",
    more="""
        Their environments go to --successor, else to the successor in their record, else by the setting
        `departed_owners` of the service. What they asked for goes on; what is shared with them has no effect. Disabling
        somebody who is disabled already gives away what they still have. A name that means somebody else at the
        built-in provider is refused without --exact.
    """,
    examples="""
        calvinverse user disable ada --successor bob
        calvinverse user disable ada --successor group:platform --yes
    """,
)
def disable(
    session: Session,
    name: UserName,
    successor: Annotated[
        str, typer.Option("--successor", metavar="TO", help="Who gets their environments: a user name, or group:NAME.")
    ] = "",
    exact: Exact = False,
    yes: Yes = False,
) -> None:
    from environments.cli.people_tables import departure_lines
    from environments.domain.access import PersonKind
    from environments.domain.errors import InvalidInput, NotFound

    if not yes:
        _check_there(session, name)  # report an unknown name before somebody has to type it
    session.confirm(for_command("user", "disable"), name, yes)
    try:
        session.client.person(name)
    except NotFound:
        if not _is_local(session, name):
            raise
        if successor:
            raise InvalidInput(
                f"{name} has never signed in, so there is nothing that a successor could get.",
                hint="Leave --successor out.",
            ) from None
        local = session.client.disable_local_person(name)
        session.show(local, lambda: [f"{local.user_name}, who has never signed in, is disabled at the provider."])
        return
    done = session.client.disable_person(name, successor, exact=exact)
    session.show(done, lambda: departure_lines(done))
    if done.person.kind is PersonKind.UNCLAIMED and _is_local(session, name):
        session.say(
            f"{name} is an old owner's name here. The person {name} of the built-in provider isn't disabled, and has "
            "another user name here: see `calvinverse user list`."
        )


@command("user", "enable", examples="calvinverse user enable ada")
def enable(session: Session, name: UserName, exact: Exact = False) -> None:
    from environments.domain.errors import NotFound

    try:
        found = session.client.enable_person(name, exact=exact)
    except NotFound:
        if not _is_local(session, name):
            raise
        local = session.client.enable_local_person(name)
        session.show(local, lambda: [f"{local.user_name} can sign in."])
        return
    session.show(found, lambda: [f"{found.name} can sign in again."])


def _check_there(session: Session, name: str) -> None:
    from environments.domain.errors import NotFound

    try:
        session.client.person(name)
    except NotFound:
        if not _is_local(session, name):
            raise


def _is_local(session: Session, name: str) -> bool:
    """Whether the built-in provider has somebody of that name; of another error than that, the first one is told."""
    from environments.domain.errors import CalvinverseError

    try:
        return any(one.user_name == name for one in session.client.local_people())
    except CalvinverseError:
        return False


@command(
    "user",
    "successor",
    examples="""
        calvinverse user successor ada bob
        calvinverse user successor ada --none
    """,
)
def successor(
    session: Session,
    name: UserName,
    to: Annotated[str, typer.Argument(metavar="[TO]", help="A user name, or `group:NAME`.")] = "",
    none: Annotated[bool, typer.Option("--none", help="Nobody: the setting of the service decides.")] = False,
) -> None:
    from environments.domain.errors import InvalidInput

    if bool(to) is none:
        raise InvalidInput(
            "Give either a successor or --none.", hint="For example `calvinverse user successor ada bob`."
        )
    found = session.client.set_successor(name, to)
    told = f"{found.successor} gets" if found.successor else "The setting of the service decides who gets"
    session.show(found, lambda: [f"{told} the environments of {found.name} when they are disabled."])


@command(
    "user",
    "assign",
    more="""
        Environments, tokens, policies, groups, shares and roles of OLD go to PERSON, who has to have signed in once.
        The name OLD stays reserved for ever. With --keep-name the person is called OLD from now on, and the name that
        they have had until now stays reserved; their sessions go on.
    """,
    examples="""
        calvinverse user assign "Ada L." ada --dry-run
        calvinverse user assign "Ada L." ada
        calvinverse user assign alovelace ada --keep-name --yes
    """,
)
def assign(
    session: Session,
    old: Annotated[str, typer.Argument(metavar="OLD", help="As `calvinverse user list --unclaimed` shows it.")],
    person: Annotated[str, typer.Argument(metavar="PERSON", help="The user name of who has signed in.")],
    keep_name: Annotated[bool, typer.Option("--keep-name", help="The person is called OLD from now on.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would move.")] = False,
    yes: Yes = False,
) -> None:
    from environments.cli.people_tables import assignment_lines
    from environments.wire.people import AssignRequest

    request = AssignRequest(to=person, keep_name=keep_name)
    if dry_run or not yes:
        found = session.client.assign_owner(old, request, dry_run=True)
        if dry_run:
            session.show(found, lambda: assignment_lines(found))
            return
        for line in assignment_lines(found):
            session.say(line)
    session.confirm(for_command("user", "assign"), old, yes)
    done = session.client.assign_owner(old, request)
    session.show(done, lambda: assignment_lines(done))


@command(
    "env",
    "transfer",
    more="""
        TO is a user name, or group:NAME, whose members are its owners then. You have no access any more unless you are
        among them, or it is shared with you; what is shared with others stays. Policies of the new owner apply at once.
        Steps get the new name as `environment.owner` at the next update or repair.
    """,
    examples="""
        calvinverse env transfer demo bob
        calvinverse env transfer demo group:platform --yes
    """,
)
def transfer(session: Session, name: Name, to: To, yes: Yes = False) -> None:
    wanted = name
    if not yes:
        wanted = session.client.environment(name).id  # report an unknown name before somebody has to type it
    session.confirm(for_command("env", "transfer"), name, yes)
    done = session.client.transfer(wanted, to)
    session.show(done, lambda: [f"{done.name} is owned by {done.owner}."])
