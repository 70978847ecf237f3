"""`calvinverse group`: groups and their members."""

from typing import Annotated

import typer

from environments.actions.registry import for_command
from environments.cli.options import Yes
from environments.cli.session import Session, command

GroupName = Annotated[str, typer.Argument(metavar="GROUP", help="A group, as `calvinverse group list` shows it.")]
Member = Annotated[str, typer.Argument(metavar="NAME", help="A user name.")]
Description = Annotated[str, typer.Option("--description", metavar="TEXT", help="What the group is.")]


@command("group", "list", examples="calvinverse group list")
def list_groups(session: Session) -> None:
    from environments.cli.tables import table

    found = session.client.groups()
    rows = [(one.name, one.provider or "local", str(one.members), one.description) for one in found]
    session.show(found, lambda: table(("NAME", "FROM", "MEMBERS", "DESCRIPTION"), rows))


@command(
    "group",
    "show",
    examples="""
        calvinverse group show platform
        calvinverse group show corp/staff -o json
    """,
)
def show_group(session: Session, name: GroupName) -> None:
    from environments.cli.people_tables import group_lines

    group, members = session.client.group(name), session.client.members(name)
    session.show({"group": group, "members": members}, lambda: group_lines(group, members, session.zone))


@command(
    "group",
    "create",
    examples="""
        calvinverse group create platform --description "runs the platform"
        calvinverse group add platform ada
    """,
)
def create_group(session: Session, name: GroupName, description: Description = "") -> None:
    from environments.wire.people import GroupRequest

    made = session.client.create_group(GroupRequest(name=name, description=description))
    session.show(made, lambda: [made.name])
    session.say(f"Next: `calvinverse group add {made.name} NAME`.")


@command("group", "describe", examples='calvinverse group describe platform "runs the platform"')
def describe_group(
    session: Session,
    name: GroupName,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the group is.")],
) -> None:
    done = session.client.describe_group(name, text)
    session.show(done, lambda: [f"{done.name}: {done.description}"])


@command("group", "add", examples="calvinverse group add platform ada")
def add_member(session: Session, group: GroupName, name: Member) -> None:
    done = session.client.add_member(group, name)
    session.show(done, lambda: [f"{done.person} is in {done.group}."])


@command("group", "remove", examples="calvinverse group remove platform ada")
def remove_member(session: Session, group: GroupName, name: Member) -> None:
    done = session.client.remove_member(group, name)
    session.show(done, lambda: [f"{done.person} is no longer in {done.group}."])


@command(
    "group",
    "delete",
    examples="""
        calvinverse group delete platform --dry-run
        calvinverse group delete platform --yes
    """,
)
def delete_group(
    session: Session,
    name: GroupName,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would take away.")] = False,
    yes: Yes = False,
) -> None:
    from environments.cli.people_tables import deletion_lines

    if dry_run or not yes:
        found = session.client.delete_group(name, dry_run=True)
        if dry_run:
            session.show(found, lambda: deletion_lines(found))
            return
        for line in deletion_lines(found):
            session.say(line)
    session.confirm(for_command("group", "delete"), name, yes)
    done = session.client.delete_group(name)
    session.show(done, lambda: deletion_lines(done))
