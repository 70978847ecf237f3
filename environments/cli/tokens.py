"""`calvinverse token`: commands for tokens."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from environments.actions.registry import for_command
from environments.cli.session import Session, command

if TYPE_CHECKING:
    from environments.wire.tokens import NewToken, TokenView

_LONGEST_NOTE = 80
"""Maximum of characters of a note in the table: anybody writes notes, and an admin sees all."""

Actions = Annotated[
    list[str] | None,
    typer.Option("--action", metavar="ACTION", help="Limit it to this action, such as environment:create; repeatable."),
]
Templates = Annotated[
    list[str] | None,
    typer.Option("--template", metavar="NAME", help="Limit it to environments of this template; repeatable."),
]
Environments = Annotated[
    list[str] | None,
    typer.Option("--environment", metavar="NAME", help="Limit it to this environment; repeatable."),
]
To = Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Write it here, 0600.")]


@command(
    "token",
    "create",
    more="""
        Only the token is written to standard output; with --to it goes to a file that only you can read. It becomes
        invalid when the token that created it expires or is revoked, and reaches no further than that one. With
        --action it does these actions, and reads what it reaches.
    """,
    examples="""
        calvinverse token create --owner ada --to ada.token
        calvinverse token create --owner ci --ttl 90d --note "build agent"
        calvinverse token create --owner grace --role admin
        calvinverse token create --owner ada --template web --action environment:extend --ttl 7d
    """,
)
def create(
    session: Session,
    owner: Annotated[str, typer.Option("--owner", metavar="NAME", help="Owns what is made with it.")],
    role: Annotated[
        str, typer.Option("--role", metavar="ROLE", help="user, auditor or admin: the most that it may.")
    ] = "user",
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What it is for.")] = "",
    ttl: Annotated[
        str | None,
        typer.Option("--ttl", metavar="DURATION", help="How long it is valid: 90d; default: until it is revoked."),
    ] = None,
    actions: Actions = None,
    templates: Templates = None,
    environments: Environments = None,
    to: To = None,
) -> None:
    from environments.domain.errors import InvalidInput
    from environments.wire.tokens import TokenRequest

    if role not in ("user", "auditor", "admin"):
        raise InvalidInput(f"There is no role {role!r}.", hint="Give user, auditor or admin.")
    check_new_file(to)
    limits = given_limits(actions, templates, environments)
    request = TokenRequest.model_validate({"owner": owner, "role": role, "note": note, "ttl": ttl, **limits})
    hand_out(session, session.client.create_token(request), to)


def check_new_file(to: Path | None) -> None:
    """Raises `InvalidInput` if there is such a file already."""
    from environments.domain.errors import InvalidInput

    if to is not None and to.exists():
        raise InvalidInput(f"{to} exists already.", hint="Choose another file, or remove it.")


def given_limits(
    actions: list[str] | None, templates: list[str] | None, environments: list[str] | None
) -> dict[str, list[str]]:
    """The limits of a new token that were given, as a request has them."""
    given = {"actions": actions, "templates": templates, "environments": environments}
    return {name: values for name, values in given.items() if values}


def hand_out(session: Session, made: "NewToken", to: Path | None) -> None:
    """Writes a new token to the file that only the user can read, or to standard output."""
    from environments.private_files import write_private

    if to is not None:
        write_private(to, made.secret + "\n")
        session.show(made.token, lambda: [made.token.id])
        session.say(f"The token of {made.token.owner} is in {to}. Use it with --token-file or CALVINVERSE_TOKEN_FILE.")
        return
    session.show(made, lambda: [made.secret])
    session.say(f"This is the token {made.token.id} of {made.token.owner}; it is shown only once.")


@command("token", "list", examples="calvinverse token list")
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
