"""`calvinverse account`: commands for service accounts."""

from typing import TYPE_CHECKING, Annotated

import typer

from environments.actions.registry import for_command
from environments.cli.session import Session, command
from environments.cli.tokens import Actions, Environments, Templates, To, check_new_file, given_limits, hand_out

if TYPE_CHECKING:
    from environments.wire.service_accounts import ServiceAccountView
    from environments.wire.tokens import TokenView

Account = Annotated[str, typer.Argument(metavar="NAME", help="As `calvinverse account list` shows it.")]
Responsible = Annotated[
    str, typer.Option("--responsible", metavar="SUBJECT", help="A person, or group:NAME, who answers for it.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


@command(
    "account",
    "create",
    more="""
        Whoever is responsible makes its tokens and may do with them whatever the account may; without --responsible
        that is you. It can't be deleted: its name is never given to anybody else. Names of service accounts begin with
        svc-, and names of people never do.
    """,
    examples="""
        calvinverse account create svc-shop --description "pipelines of the shop"
        calvinverse account create svc-shop --responsible group:platform
    """,
)
def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="svc-, then lower-case letters, digits, dots, hyphens.")],
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="What it is for.")] = "",
    responsible: Responsible = "",
) -> None:
    from environments.wire.service_accounts import ServiceAccountRequest

    request = ServiceAccountRequest(name=name, description=description, responsible=responsible)
    made = session.client.create_service_account(request)
    session.show(made, lambda: [f"{made.name} is created; {made.responsible} is responsible for it."])
    session.say(f"Next: `calvinverse account token {made.name}` gives it a token.")


@command("account", "list", examples="calvinverse account list")
def list_accounts(session: Session) -> None:
    from environments.cli.tables import table
    from environments.words import one_line

    found = session.client.service_accounts()
    session.show(
        found,
        lambda: table(
            ("NAME", "STATE", "TOKENS", "RESPONSIBLE", "DESCRIPTION"),
            [(one.name, _state(one), str(one.tokens), one.responsible, one_line(one.description)) for one in found],
        ),
    )


@command("account", "show", examples="calvinverse account show svc-shop")
def show(session: Session, name: Account) -> None:
    from environments.cli.tables import table
    from environments.moments import moment
    from environments.words import one_line

    found = session.client.service_account(name)
    tokens = session.client.account_tokens(name)

    def lines() -> "list[str]":
        disabled = f"{moment(found.disabled_at, session.zone)} by {found.disabled_by}" if found.disabled_at else ""
        rows = [
            (one.id, _token_state(session, one), _end(session, one), _limits(one), one_line(one.note)) for one in tokens
        ]
        return [
            f"{found.name}  {_state(found)}",
            f"  responsible  {found.responsible}",
            f"  created      {moment(found.created_at, session.zone)} by {found.created_by}",
            *([f"  description  {one_line(found.description)}"] if found.description else []),
            *([f"  disabled     {disabled}"] if disabled else []),
            "",
            *table(("TOKEN", "STATE", "EXPIRES", "FOR", "NOTE"), rows),
        ]

    session.show({"account": found, "tokens": tokens}, lines)


@command(
    "account",
    "change",
    examples="calvinverse account change svc-shop --responsible group:platform",
)
def change(
    session: Session,
    name: Account,
    description: Annotated[str | None, typer.Option("--description", metavar="TEXT", help="What it is for.")] = None,
    responsible: Annotated[
        str | None, typer.Option("--responsible", metavar="SUBJECT", help="A person, or group:NAME.")
    ] = None,
) -> None:
    from environments.domain.errors import InvalidInput
    from environments.wire.service_accounts import ServiceAccountChange

    if description is None and responsible is None:
        raise InvalidInput("There is nothing to change.", hint="Give --description or --responsible.")
    request = ServiceAccountChange(description=description, responsible=responsible)
    changed = session.client.change_service_account(name, request)
    session.show(changed, lambda: [f"{changed.name} is changed; {changed.responsible} is responsible for it."])


@command(
    "account",
    "disable",
    more="Its environments stay. Tokens from before stay revoked when it is enabled again.",
    examples="calvinverse account disable svc-shop --yes",
)
def disable(session: Session, name: Account, yes: Yes = False) -> None:
    session.confirm(for_command("account", "disable"), name, yes)
    done = session.client.disable_service_account(name)
    session.show(done, lambda: [f"{done.name} is disabled, and its tokens are revoked."])
    session.say(f"Next: `calvinverse account enable {done.name}` lets it have tokens again.")


@command("account", "enable", examples="calvinverse account enable svc-shop")
def enable(session: Session, name: Account) -> None:
    done = session.client.enable_service_account(name)
    session.show(done, lambda: [f"{done.name} is enabled."])
    session.say(f"Next: `calvinverse account token {done.name}` gives it a token.")


@command(
    "account",
    "token",
    more="""
        Only the token is written to standard output; with --to it goes to a file that only you can read. With --action
        it does these actions, and reads what it reaches; without, it does what the account may, within --template and
        --environment. If you use a token yourself and aren't signed in, it ends with that, and reaches no further.
    """,
    examples="""
        calvinverse account token svc-shop --template shop --ttl 30d --to ci.token
        calvinverse account token hooks --action environment:extend --environment demo
    """,
)
def token(
    session: Session,
    name: Account,
    actions: Actions = None,
    templates: Templates = None,
    environments: Environments = None,
    ttl: Annotated[
        str | None,
        typer.Option("--ttl", metavar="DURATION", help="How long it is valid: 30d; default: the longest allowed."),
    ] = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What it is for.")] = "",
    to: To = None,
) -> None:
    from environments.wire.service_accounts import AccountTokenRequest

    check_new_file(to)
    limits = given_limits(actions, templates, environments)
    request = AccountTokenRequest.model_validate({"ttl": ttl, "note": note, **limits})
    hand_out(session, session.client.create_account_token(name, request), to)


@command(
    "account",
    "revoke",
    more="Tokens that were made with it are revoked too.",
    examples="calvinverse account revoke svc-shop tok-7f3k --yes",
)
def revoke(
    session: Session,
    name: Account,
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `calvinverse account show` lists it.")],
    yes: Yes = False,
) -> None:
    session.confirm(for_command("account", "revoke"), token_id, yes)
    done = session.client.revoke_account_token(name, token_id)
    session.show(done, lambda: [f"{done.id} of {done.owner} is revoked."])
    session.say(f"Next: `calvinverse account show {name}` lists which others are left.")


def _state(account: "ServiceAccountView") -> str:
    return "○ disabled" if account.disabled_at is not None else "● good"


def _token_state(session: Session, token: "TokenView") -> str:
    if token.revoked_at is not None:
        return "✗ revoked"
    expired = token.expires_at is not None and token.expires_at <= session.now()
    return "○ expired" if expired else "● good"


def _end(session: Session, token: "TokenView") -> str:
    from environments.moments import moment

    return moment(token.expires_at, session.zone) if token.expires_at is not None else "never"


def _limits(token: "TokenView") -> str:
    """What it is limited to, in words."""
    from environments.cli.access_tables import limits

    return limits(token.scope) or "whatever the account may"
