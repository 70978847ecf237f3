"""`calvinverse token`: commands for tokens."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from environments.actions.registry import for_command
from environments.cli.session import Session, command

if TYPE_CHECKING:
    from environments.wire.tokens import TokenView

_LONGEST_NOTE = 80
"""Maximum of characters of a note in the table: anybody writes notes, and an admin sees all."""

app = typer.Typer(help="Create, list and revoke tokens.", no_args_is_help=True, rich_markup_mode=None)


@command(
    app,
    "token",
    "create",
    more="""
        Only the token is written to standard output; with --to it goes to a file that only you can read. It becomes
        invalid when the token that created it expires or is revoked.
    """,
    examples="""
        calvinverse token create --owner ada --to ada.token
        calvinverse token create --owner ci --ttl 90d --note "build agent"
        calvinverse token create --owner grace --role admin
    """,
)
def create(
    session: Session,
    owner: Annotated[str, typer.Option("--owner", metavar="NAME", help="Owns what is made with it.")],
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="user: own environments; admin: all.")] = "user",
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What it is for.")] = "",
    ttl: Annotated[
        str | None,
        typer.Option("--ttl", metavar="DURATION", help="How long it is valid: 90d; default: until it is revoked."),
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Write it here, 0600.")] = None,
) -> None:
    from environments.domain.errors import InvalidInput
    from environments.private_files import write_private
    from environments.wire.tokens import TokenRequest

    if role == "admin":
        request = TokenRequest(owner=owner, role="admin", note=note, ttl=ttl)
    elif role == "user":
        request = TokenRequest(owner=owner, role="user", note=note, ttl=ttl)
    else:
        raise InvalidInput(f"There is no role {role!r}.", hint="Give user or admin.")
    if to is not None and to.exists():
        raise InvalidInput(f"{to} exists already.", hint="Choose another file, or remove it.")
    made = session.client.create_token(request)
    if to is not None:
        write_private(to, made.secret + "\n")
        session.show(made.token, lambda: [made.token.id])
        session.say(f"The token of {owner} is in {to}. Use it with --token-file or CALVINVERSE_TOKEN_FILE.")
        return
    session.show(made, lambda: [made.secret])
    session.say(f"This is the token {made.token.id} of {owner}; it is shown only once.")


@command(app, "token", "list", examples="calvinverse token list")
def list_tokens(session: Session) -> None:
    from environments.cli.tables import table
    from environments.moments import coarse

    found = session.client.tokens()

    def rows() -> "list[tuple[str, ...]]":
        return [
            (
                token.id,
                token.owner,
                token.role,
                _state(token, session),
                f"{coarse(session.now() - token.last_used_at)} ago" if token.last_used_at else "never",
                token.parent_id or "",
                token.note if len(token.note) <= _LONGEST_NOTE else f"{token.note[:_LONGEST_NOTE]}…",
            )
            for token in found
        ]

    session.show(found, lambda: table(("ID", "OWNER", "ROLE", "STATE", "USED", "MADE WITH", "NOTE"), rows()))


@command(
    app,
    "token",
    "revoke",
    more="Tokens that were made with it, and with those, are revoked too.",
    examples="calvinverse token revoke tok-7f3k --yes",
)
def revoke(
    session: Session,
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `calvinverse token list` shows it.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    if not yes:
        _check_there(session, token_id)
    session.confirm(for_command("token", "revoke"), token_id, yes)
    token = session.client.revoke_token(token_id)
    session.show(token, lambda: [f"{token.id} of {token.owner} is revoked."])
    session.say("Next: `calvinverse token list` shows which others are left.")


def _check_there(session: Session, token_id: str) -> None:
    """Raises `NotFound` for an unknown token, before somebody has to type its id."""
    from environments.domain.errors import NotFound
    from environments.domain.suggesting import told

    known = [token.id for token in session.client.tokens()]
    if token_id not in known:
        raise NotFound(
            told(f"There is no token {token_id!r}.", token_id, known),
            hint="See the tokens with `calvinverse token list`.",
        )


def _state(token: "TokenView", session: Session) -> str:
    if token.revoked_at is not None:
        return "✗ revoked"
    if token.expires_at is not None and token.expires_at <= session.now():
        return "○ expired"
    return "● good"
