"""`calvinverse login`, `logout` and `whoami`, and `calvinverse session`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from environments.cli.session import Session, command

if TYPE_CHECKING:
    from environments.wire.sign_in import SessionView, WhoView


@command(
    "login",
    more="""
        A browser of this machine opens at the provider's page. Without one, as over ssh, you open a page on any
        machine and type a short code there. The session ends when it isn't used for some hours, and after a day at
        the latest.

        With --address it makes a context of that address first, if there is none; --ca pins its authority. Until
        `calvinverse logout`, the session stands in place of the context's own token.

        --ci is for jobs of GitHub Actions and GitLab, which have a token of their own to prove who they are.
    """,
    examples="""
        calvinverse login
        calvinverse login --address https://calvinverse.example.net --ca calvinverse-ca.pem
        calvinverse login --provider corp --device
        calvinverse login --dry-run
        calvinverse login --ci shop --address https://calvinverse.example.net
    """,
)
def login(
    session: Session,
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="NAME", help="Which provider, if there are several.")
    ] = None,
    device: Annotated[bool, typer.Option("--device", help="Sign in with a browser of another machine.")] = False,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the browser, or only print the address.")
    ] = True,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show which claims come, which rules match and which role comes of it."),
    ] = False,
    ca: Annotated[Path | None, typer.Option("--ca", metavar="FILE", help="PEM of the authority to pin.")] = None,
    ci: Annotated[
        str | None, typer.Option("--ci", metavar="RULE", help="Sign in as a job of a CI system, by this rule.")
    ] = None,
    audience: Annotated[
        str, typer.Option("--audience", metavar="TEXT", help="With --ci: the rule's; default: the address.")
    ] = "",
    variable: Annotated[
        str, typer.Option("--token-variable", metavar="NAME", help="With --ci: where GitLab puts the token.")
    ] = "CALVINVERSE_ID_TOKEN",
) -> None:
    from environments.cli.ci_sign_in import sign_in_as_job
    from environments.cli.login import sign_in
    from environments.domain.errors import InvalidInput

    if ci is not None:
        if provider is not None or device or dry_run:
            raise InvalidInput("--ci goes with none of --provider, --device and --dry-run.")
        sign_in_as_job(session, ci, audience=audience, variable=variable, ca=ca)
        return
    sign_in(session, provider=provider, device=device, browser=browser, dry_run=dry_run, ca=ca)


@command("logout", examples="calvinverse logout")
def logout(session: Session) -> None:
    from environments import stored_sessions
    from environments.context import state_folder
    from environments.domain.errors import CalvinverseError

    context = session.context()
    if not context.signed_in:
        session.show({"signed_out": False}, lambda: ["You aren't signed in here."])
        return
    ended = False
    try:
        session.client.sign_out()
        ended = True
    except CalvinverseError as error:
        session.say(f"The service didn't end the session: {error.message}")
    stored_sessions.forget(state_folder(), context.name)
    session.show({"signed_out": True, "ended": ended}, lambda: ["You are signed out; this machine has no session."])
    own = session.context()
    if own.token_file is not None and own.token_file.exists():
        session.say(f"Commands use the token in {own.token_file} again.")
    session.say("Your session at the provider, in the browser, stays until you sign out there.")


@command("whoami", examples="calvinverse whoami")
def whoami(session: Session) -> None:
    found = session.client.who_am_i()
    session.show(found, lambda: who_lines(found, session))
    if found.kind == "local_admin":
        session.say("This is the local admin token; each use of it is in the audit log. Next: `calvinverse login`.")


def who_lines(found: "WhoView", session: Session) -> list[str]:
    """The table of `whoami`."""
    from environments.cli.access_tables import limits
    from environments.cli.tables import pairs
    from environments.moments import moment

    groups = ", ".join(f"{group.name} ({group.source})" for group in found.groups)
    rows = [
        ("user name", found.user_name),
        ("name", found.display_name),
        ("e-mail", found.email),
        ("role", found.role),
        ("groups", groups or "none"),
        ("by", found.kind.replace("_", " ") + (f" of {found.provider}" if found.provider else "")),
        ("ends", moment(found.ends_at, session.zone) if found.ends_at else "not by itself"),
        ("limited to", limits(found.scope)),
    ]
    return list(pairs([row for row in rows if row[1]]))


@command(
    "session",
    "list",
    examples="""
        calvinverse session list
        calvinverse session list --owner ada
    """,
)
def list_sessions(
    session: Session,
    owner: Annotated[str, typer.Option("--owner", metavar="NAME", help="Whose; others' are for admins.")] = "",
) -> None:
    from environments.cli.tables import table
    from environments.moments import coarse, moment

    found = session.client.sessions(owner)

    def rows() -> "list[tuple[str, ...]]":
        return [
            (
                "*" if one.current else "",
                one.id,
                one.owner,
                one.note,
                one.address,
                _used(one, session),
                moment(one.ends_at, session.zone) if one.ends_at else "",
            )
            for one in found
        ]

    def _used(one: "SessionView", session: Session) -> str:
        return f"{coarse(session.now() - (one.last_used_at or one.created_at))} ago"

    session.show(found, lambda: table(("", "SESSION", "OWNER", "WHERE", "FROM", "USED", "ENDS"), rows()))
    if not found:
        session.say("There is no session. Next: `calvinverse login`.")


@command(
    "session",
    "end",
    more="Tokens that were made with the session end too.",
    examples="""
        calvinverse session end tok-7k2m9p4q8r3t
        calvinverse session end --all
    """,
)
def end(
    session: Session,
    id: Annotated[str | None, typer.Argument(metavar="SESSION", help="As `session list` shows it.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of yours, that of this machine too.")] = False,
) -> None:
    from environments.domain.counting import counted
    from environments.domain.errors import InvalidInput

    if every == (id is not None):
        raise InvalidInput("Give a session, or --all.", hint="See them with `calvinverse session list`.")
    if id is None:
        ended = session.client.end_all_sessions()
        session.show(ended, lambda: [f"{counted(ended.ended, 'session')} ended."])
        return
    gone = session.client.end_session(id)
    session.show(gone, lambda: [f"The session {gone.id} of {gone.owner} ({gone.note}) has ended."])
