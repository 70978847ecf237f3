"""`calvinverse webhook`: commands for webhooks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from environments.actions.registry import for_command
from environments.cli.session import Session, command

if TYPE_CHECKING:
    from environments.wire.webhooks import NewWebhookSecret, WebhookView

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `calvinverse webhook list` shows it.")]
ForgeToken = Annotated[
    Path | None,
    typer.Option("--forge-token-file", metavar="FILE", help="Holds a token of the forge; -: standard input."),
]
For = Annotated[
    list[str] | None,
    typer.Option("--for", metavar="WHO", help="May use it: a user name, group:NAME, or everyone. Can be given again."),
]
Repositories = Annotated[
    list[str] | None,
    typer.Option(
        "--repository", metavar="PATTERN", help="For this alone: acme/shop, or all as acme/*. Can be given again."
    ),
]
_PAGE = "docs/how-to/webhooks.md"


@command(
    "webhook",
    "create",
    more=f"""
        Kinds: github, gitlab, gitea, forgejo, generic (Standard Webhooks). Prints the address for deliveries and the
        secret, which is shown only once; {_PAGE} says where each forge wants them. The token lets the service ask the
        forge, and comment there: previews need it. With a token, --forge is needed for gitea and forgejo; for github
        and gitlab it is github.com and gitlab.com unless given. Only admins may use it in triggers,
        unless --for says who else may.
    """,
    examples="""
        calvinverse webhook create shop --kind github --forge-token-file token
        calvinverse webhook create shop --kind gitea --forge https://forge.example --forge-token-file token
        calvinverse webhook create acme --kind github --for group:shop --repository 'acme/*'
        calvinverse webhook create nightly --kind generic --for everyone
    """,
)
def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and single hyphens.")],
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="Who sends: see below.")],
    forge: Annotated[
        str, typer.Option("--forge", metavar="URL", help="Where the forge is, such as https://forge.example.")
    ] = "",
    forge_token_file: ForgeToken = None,
    allow_address: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-address",
            metavar="HOST:PORT",
            help="May be called although it is on the service's machine or in the cluster. Can be given again.",
        ),
    ] = None,
    users: For = None,
    repository: Repositories = None,
) -> None:
    from environments.domain.errors import InvalidInput
    from environments.wire.webhooks import KINDS, WebhookRequest

    if kind not in KINDS:
        raise InvalidInput(f"There is no kind of webhook {kind[:50]!r}.", hint=f"Give one of {', '.join(KINDS)}.")
    request = WebhookRequest.model_validate(
        {
            "name": name,
            "kind": kind,
            "address": forge,
            "token": _token(forge_token_file),
            "allowed": tuple(allow_address or ()),
            "users": tuple(users or ()),
            "repositories": tuple(repository or ()),
        }
    )
    made = session.client.create_webhook(request)
    _hand_out(session, made)
    if not made.webhook.users:
        session.say(f"Only admins may use it: `calvinverse webhook set {name} --for WHO` says who else may.")
    session.say(
        f"Next: enter both at the sender, as {_PAGE} says; then `calvinverse webhook show {made.webhook.name}`."
    )


@command(
    "webhook",
    "set",
    more="""
        What is given replaces what was said before: name all of them. Triggers of others are refused when they fire;
        what they have made stays until its own end. Admins may always use it, for these repositories.
    """,
    examples="""
        calvinverse webhook set shop --for ada --for group:shop
        calvinverse webhook set shop --for everyone --repository 'acme/*' --repository other/docs
        calvinverse webhook set shop --admins-only --all-repositories
    """,
)
def set_use(
    session: Session,
    name: Name,
    users: For = None,
    repository: Repositories = None,
    admins_only: Annotated[bool, typer.Option("--admins-only", help="Nobody but admins may use it.")] = False,
    all_repositories: Annotated[
        bool, typer.Option("--all-repositories", help="For all that the forge tells of.")
    ] = False,
) -> None:
    from environments.cli.webhook_tables import who_uses
    from environments.domain.errors import InvalidInput
    from environments.wire.webhooks import WebhookUseRequest

    if (users and admins_only) or (repository and all_repositories):
        raise InvalidInput("Give either names or that there are none.")
    if not (users or admins_only or repository or all_repositories):
        raise InvalidInput("Nothing is given to set.", hint="Give --for WHO, --repository PATTERN, or both.")
    request = WebhookUseRequest.model_validate(
        {
            "users": tuple(users or ()) if users or admins_only else None,
            "repositories": tuple(repository or ()) if repository or all_repositories else None,
        }
    )
    changed = session.client.set_webhook_use(name, request)
    session.show(changed, lambda: [f"{changed.name}  {who_uses(changed)}"])
    session.say("Next: `calvinverse trigger list` shows the triggers that name it.")


@command("webhook", "list", examples="calvinverse webhook list")
def list_webhooks(session: Session) -> None:
    from environments.cli.tables import table
    from environments.cli.webhook_tables import who_uses

    found = session.client.webhooks()
    session.show(
        found,
        lambda: table(
            ("NAME", "KIND", "LAST DELIVERY", "FOR", "FORGE"),
            [(one.name, one.kind, _ago(session, one), who_uses(one, short=True), one.address) for one in found],
        ),
    )
    if not found:
        session.say("Next: `calvinverse webhook create NAME --kind KIND`.")


@command(
    "webhook",
    "show",
    more="Deliveries that were refused or left are counted by the hour and the reason.",
    examples="calvinverse webhook show shop",
)
def show(session: Session, name: Name) -> None:
    from environments.cli.webhook_tables import webhook_lines

    found = session.client.webhook(name)

    session.show(found, lambda: webhook_lines(found, session.zone))
    session.say("Next: `calvinverse event list` shows what its deliveries have become.")


@command(
    "webhook",
    "rotate",
    more="""
        Prints the new secret, only once. For --overlap (a day unless given, at most 30d) both are valid: enter the new
        one at the sender within that time. With --overlap 0s the old one ends now, elsewhere after up to 30 seconds.
    """,
    examples="""
        calvinverse webhook rotate shop
        calvinverse webhook rotate shop --overlap 2h
    """,
)
def rotate(
    session: Session,
    name: Name,
    overlap: Annotated[
        str | None, typer.Option("--overlap", metavar="DURATION", help="How long the old secret stays valid.")
    ] = None,
) -> None:
    from environments.moments import moment
    from environments.wire.webhooks import RotateRequest

    made = session.client.rotate_webhook(name, RotateRequest(overlap=overlap))
    _hand_out(session, made)
    until = f"until {moment(made.previous_until, session.zone)}" if made.previous_until else "no longer"
    session.say(f"The old secret is valid {until}. Next: enter the new one at the sender.")


@command(
    "webhook",
    "token",
    more="With an empty file it has none any more.",
    examples="calvinverse webhook token shop --forge-token-file token",
)
def token(session: Session, name: Name, forge_token_file: ForgeToken = None) -> None:
    from environments.domain.errors import InvalidInput

    if forge_token_file is None:
        raise InvalidInput("No token is given.", hint="Give --forge-token-file FILE.")
    changed = session.client.set_webhook_token(name, _token(forge_token_file))
    session.show(changed, lambda: [f"{changed.name} has another token for its forge."])
    session.say(f"Next: `calvinverse webhook check {changed.name}` tells whether it is good.")


@command("webhook", "check", examples="calvinverse webhook check shop")
def check(session: Session, name: Name) -> None:
    found = session.client.check_webhook(name)
    whose = f"The token is of {found.account}." if found.account else "The token is good."
    session.show(found, lambda: [f"The forge of {name} answers. {whose}"])
    session.say(f"Next: `calvinverse webhook show {name}` shows when it last took a delivery.")


@command(
    "webhook",
    "delete",
    more="""
        It is refused while previews live by it: remove the triggers that name it, and wait for them to end. With
        --force they end at their deadline, and the forge isn't told.
    """,
    examples="""
        calvinverse webhook delete shop --yes
        calvinverse webhook delete shop --force --yes
    """,
)
def delete(
    session: Session,
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Also while previews live by it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    session.confirm(for_command("webhook", "delete"), name, yes)
    gone = session.client.delete_webhook(name, force=force)
    session.show(gone, lambda: [f"{gone.name} is deleted; its deliveries are refused."])
    session.say("Next: remove it at the sender too, and revoke the token that it had for the forge.")


def _hand_out(session: Session, made: "NewWebhookSecret") -> None:
    session.show(made, lambda: [f"address  {made.webhook.deliveries}", f"secret   {made.secret}"])
    session.say(f"The secret of {made.webhook.name} is shown only once.")


def _token(file: Path | None) -> str:
    from environments.cli.context_input import read_line

    return "" if file is None else read_line(file)


def _ago(session: Session, one: "WebhookView") -> str:
    from environments.moments import coarse

    return f"{coarse(session.now() - one.last_at)} ago" if one.last_at else "never"
