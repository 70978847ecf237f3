"""The command line of people, groups and transfers, against the API."""

import pytest

from environments.domain.access import Person, PersonKind
from tests.fakes.plans import NOW
from tests.support.command_line import CommandLine


def sign_in(cli: CommandLine, *names: str) -> None:
    """These people have signed in once."""
    with cli.service.database.write() as tx:
        for name in names:
            person = Person(
                name=name,
                kind=PersonKind.PERSON,
                issuer="https://id.example.net",
                subject=name,
                display_name=name.title(),
                email=f"{name}@example.net",
                signed_in_at=NOW,
                created_at=NOW,
            )
            tx.people.add(person)


def test_people_are_listed_and_shown(cli: CommandLine) -> None:
    sign_in(cli, "lovelace")
    listed = cli("user", "list").out.splitlines()
    assert listed[0].split() == ["NAME", "KIND", "STATE", "ROLE", "GROUPS", "ENVIRONMENTS", "SESSIONS", "SIGNED", "IN"]
    assert any(line.startswith("lovelace") and "● enabled" in line for line in listed)
    unclaimed = cli("user", "list", "--unclaimed").out
    assert "root" in unclaimed
    assert "lovelace" not in unclaimed
    shown = cli("user", "show", "lovelace").out
    assert "lovelace@example.net" in shown
    assert cli("user", "show", "lovelace", "-o", "json").json["kind"] == "person"
    missing = cli("user", "show", "lovelase")
    assert missing.status == 3
    assert "Did you mean 'lovelace'?" in missing.err


def test_an_environment_is_transferred(cli: CommandLine) -> None:
    sign_in(cli, "giver")
    cli("env", "create", "given", "-t", "web", "--no-wait")
    unasked = cli("env", "transfer", "given", "giver")  # there is no terminal to ask on
    assert unasked.status == 2
    assert "`calvinverse env transfer given giver --yes`" in unasked.err
    done = cli("env", "transfer", "given", "giver", "--yes")
    assert done.out == "given is owned by giver.\n"
    assert "root transferred given from root to giver" in cli("env", "explain", "given", "--past", "5").out
    assert cli("env", "transfer", "given", "nobody", "--yes").status == 3


def test_somebody_is_disabled_and_enabled(cli: CommandLine) -> None:
    sign_in(cli, "leaver", "stayer")
    cli("env", "create", "left", "-t", "web", "--no-wait")
    cli("env", "transfer", "left", "leaver", "--yes")
    assert "stayer gets the environments of leaver" in cli("user", "successor", "leaver", "stayer").out
    assert "setting of the service decides" in cli("user", "successor", "leaver", "--none").out
    assert cli("user", "successor", "leaver").status == 2
    typo = cli("user", "disable", "leaver", "--successor", "stayr", "--yes")
    assert (typo.status, "There is nobody named 'stayr'." in typo.err, typo.out) == (3, True, "")
    assert cli("user", "show", "leaver", "-o", "json").json["disabled_at"] is None
    done = cli("user", "disable", "leaver", "--successor", "stayer", "--yes")
    assert done.out.splitlines() == [
        "leaver is disabled; 0 sessions and tokens ended.",
        "stayer owns left now: root named them.",
    ]
    assert "leaver" in cli("user", "list", "--disabled").out
    assert "✗ disabled since" in cli("user", "show", "leaver").out
    assert cli("env", "transfer", "left", "leaver", "--yes").status == 4
    assert cli("user", "enable", "leaver").out == "leaver can sign in again.\n"
    assert cli("user", "disable", "root", "--yes").status == 4
    assert cli("user", "disable", "unknown", "--yes").status == 3


@pytest.mark.parametrize("keep_name", [False, True])
def test_an_old_owner_is_assigned(cli: CommandLine, keep_name: bool) -> None:
    old, name = ("Old One", "newone") if not keep_name else ("Old Two", "newtwo")
    sign_in(cli, name)
    cli("token", "create", "--owner", old)
    kept, gone = (old, name) if keep_name else (name, old)
    flags = ["--keep-name"] if keep_name else []
    dry = cli("user", "assign", old, name, *flags, "--dry-run").out.splitlines()
    assert dry[0].startswith(f"What {gone} has would belong to {kept}: ")
    assert cli("user", "assign", old, name, *flags).status == 2
    done = cli("user", "assign", old, name, *flags, "--yes").out.splitlines()
    assert done[-1] == f"The name {gone} stays reserved."
    assert f"→ {kept}" in cli("user", "show", gone).out
    assert gone not in cli("user", "list", "--unclaimed").out
    assert cli("user", "assign", old, name, "--yes").status in (3, 4)


def test_groups(cli: CommandLine) -> None:
    sign_in(cli, "member")
    assert cli("group", "create", "crew", "--description", "the crew").out == "crew\n"
    assert cli("group", "create", "Crew").status == 2
    assert cli("group", "add", "crew", "member").out == "member is in crew.\n"
    listed = cli("group", "list").out.splitlines()
    assert any(line.split() == ["crew", "local", "1", "the", "crew"] for line in listed)
    assert "member since" in cli("group", "show", "crew").out
    assert cli("group", "describe", "crew", "all").out == "crew: all\n"
    cli("env", "create", "crewed", "-t", "web", "--no-wait")
    cli("env", "transfer", "crewed", "group:crew", "--yes")
    assert "owns 1 environment" in cli("group", "delete", "crew", "--yes").err
    cli("env", "transfer", "crewed", "member", "--yes")
    assert cli("group", "delete", "crew", "--dry-run").out == "The group crew would be deleted, with 1 member.\n"
    assert cli("group", "remove", "crew", "member").out == "member is no longer in crew.\n"
    assert cli("group", "delete", "crew", "--yes").out == "The group crew is deleted.\n"
    assert cli("group", "show", "crew").status == 3


def test_people_of_the_built_in_provider(cli: CommandLine) -> None:
    made = cli("user", "create", "grace", "--name", "Grace", "--email", "grace@example.net", "--group", "navy")
    assert made.status == 0, made.err
    assert len(made.out.split()) == 1
    assert "shown only once" in made.err
    assert made.out.strip() not in made.err
    assert cli("user", "create", "grace").status == 4
    listed = cli("user", "local").out
    assert "grace@example.net" in listed
    assert "one-time password" in listed
    assert "navy, sea" in cli("user", "groups", "grace", "--group", "navy", "--group", "sea").out.replace(
        "sea, navy", "navy, sea"
    )
    assert "is in no group" in cli("user", "groups", "grace").out
    again = cli("user", "reset", "grace", "--yes")
    assert again.out.strip() not in ("", made.out.strip())
    assert cli("user", "reset", "grace").status == 2
    assert cli("user", "disable", "grace", "--successor", "root", "--yes").status == 0
    assert "✗ disabled" in next(line for line in cli("user", "local").out.splitlines() if line.startswith("grace"))
    assert cli("user", "enable", "grace").out == "grace can sign in again.\n"
    assert cli("user", "enable", "nobody").status == 3


def test_an_issuer_moves(cli: CommandLine) -> None:
    sign_in(cli, "mover")
    assert "https://id.example.net" in cli("user", "issuers").out
    new = "https://id2.example.net"
    assert cli("user", "move-issuer", "https://id.example.net", new).status == 2
    moved = cli("user", "move-issuer", "https://id.example.net", new, "--yes")
    assert f"the issuer {new}" in moved.out, moved.err
    assert new in cli("user", "show", "mover").out
    assert cli("user", "move-issuer", new, "https://id.example.net", "--yes").status == 0
