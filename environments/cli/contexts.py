"""`calvinverse context`: which service the commands and the terminal UI of this machine talk to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from environments.actions.registry import for_command
from environments.cli.context_tables import authority_in_short, authority_of, damaged, described
from environments.cli.session import Session, command

if TYPE_CHECKING:
    from collections.abc import Iterator


@command(
    "context",
    "add",
    more="""
        The token comes from --token-file (`-`: standard input), else from standard input, else it is asked for without
        being shown. Nothing is stored unless the service answers and knows the token.

        --ca pins an authority: the service's certificate must be signed by it. Without --ca, it must be signed by one
        that this machine trusts. Plain HTTP is refused beyond this machine.
    """,
    examples="""
        calvinverse context add prod --address https://calvinverse.example.org --ca ca.pem --token-file ada.token
        calvinverse context add prod --from prod.context --use
    """,
)
def add(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="How it is called on this machine.")],
    exported: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="What `context export` wrote; `-`: standard input."),
    ] = None,
    ca: Annotated[
        Path | None, typer.Option("--ca", metavar="FILE", help="PEM of the authority to pin; it is copied.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the context of this name.")] = False,
    use: Annotated[bool, typer.Option("--use", help="Make it the current context.")] = False,
) -> None:
    from environments import named_contexts
    from environments.authorities import PinnedAuthority
    from environments.cli.context_input import read_token, read_wanted
    from environments.client import Client
    from environments.context import load_context, state_folder, stored_context

    state = state_folder()
    known = named_contexts.names(state)
    named_contexts.check_free(state, name, replace=replace)
    wanted = read_wanted(session, exported, ca)
    token = wanted.token or read_token(session.token_file, wanted.address, taken=exported == Path("-"))
    pinned = PinnedAuthority(wanted.authority, name) if wanted.authority else None
    with Client(wanted.address, token, pinned=pinned) as client:
        info = client.info()
    stored = named_contexts.NamedContext(address=wanted.address, authority=wanted.authority)
    first = not known and stored_context(state) is None
    named_contexts.store(state, name, stored, token, replace=replace)
    if use or first:
        named_contexts.use(state, name)
    found = described(session, load_context(state, name))
    who = {"owner": info.owner, "role": info.role, "version": info.version}
    session.show(found | who, lambda: [f"You are {info.owner} ({info.role}) at {wanted.address}."])
    for fingerprint in found["authority"]:
        session.say(f"Pinned authority: SHA-256 {fingerprint}. Compare it with what the service's operator has.")
    if found["current"]:
        session.say("It is the current context. Next: `calvinverse env list`, or `calvinverse tui`.")
    else:
        session.say(f"Next: `calvinverse context use {name}`, or `--context {name}` for one command.")
    _warn_of_variables(session, name)


@command(
    "context",
    "use",
    more="""
        --context before or behind a command, and the variable CALVINVERSE_CONTEXT, choose another one for as long as
        they are given. `default` is the service that this machine deployed or serves.
    """,
    examples="""
        calvinverse context use prod
        calvinverse context use default
    """,
)
def use(
    session: Session, name: Annotated[str, typer.Argument(metavar="NAME", help="As `context list` shows it.")]
) -> None:
    from environments import named_contexts
    from environments.context import load_context, state_folder

    state = state_folder()
    context = load_context(state, name)
    named_contexts.use(state, name)
    session.show(described(session, context), lambda: [f"The current context is {name}: {context.address}."])
    _warn_of_variables(session, name)


@command(
    "context",
    "list",
    more="`*` marks the context that commands use. `default` is the service that this machine deployed or serves.",
    examples="""
        calvinverse context list
        calvinverse context list -o json | jq -r '.[] | select(.current).name'
    """,
)
def list_contexts(session: Session) -> None:
    from environments import named_contexts
    from environments.cli.tables import table
    from environments.context import CONTEXT_FILE, load_context, state_folder
    from environments.domain.errors import CalvinverseError

    state = state_folder()
    default = [named_contexts.DEFAULT] if (state / CONTEXT_FILE).exists() else []
    found: list[dict[str, Any]] = []
    for name in (*default, *named_contexts.names(state)):
        try:
            found.append({**described(session, load_context(state, name)), "error": None})
        except CalvinverseError as error:
            found.append(damaged(name, error))
            session.say(f"{error.message} {error.hint}")

    def rows() -> "Iterator[tuple[str, ...]]":
        for one in found:
            authority = "" if one["error"] else authority_in_short(one)
            yield "*" if one["current"] else "", one["name"], one["address"] or "can't be read", authority

    session.show(found, lambda: table(("", "NAME", "ADDRESS", "AUTHORITY"), rows()))
    if not found:
        session.say("There is no context. Next: `calvinverse context add`, or run a service with `calvinverse serve`.")
    elif not any(one["current"] for one in found):
        session.say(f"Commands use {_where(session)}.")


@command(
    "context",
    "show",
    more="Without a name it shows the one that commands use. The service is not asked.",
    examples="""
        calvinverse context show
        calvinverse context show prod -o json
    """,
)
def show(
    session: Session,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="As `context list` shows it.")] = None,
) -> None:
    from environments.authorities import read_authorities
    from environments.cli.tables import pairs
    from environments.context import load_context, state_folder
    from environments.moments import moment

    context = session.context() if name is None else load_context(state_folder(), name)
    found = described(session, context)
    authorities = read_authorities(authority_of(context)) if found["authority"] else []

    def lines() -> "Iterator[str]":
        yield from pairs(
            (
                ("name", found["name"] or "none"),
                ("address", found["address"]),
                ("token file", str(found["token_file"] or "none")),
                ("current", "yes" if found["current"] else "no"),
                ("authority", "" if authorities else authority_in_short(found)),
            )
        )
        for one in authorities:
            yield from pairs(
                (
                    ("authority", one.subject),
                    ("SHA-256", one.fingerprint),
                    ("valid until", moment(one.valid_until, session.zone)),
                )
            )

    session.show(found | {"authorities": [one._asdict() for one in authorities]}, lines)


@command(
    "context",
    "export",
    more="""
        The file holds the address and the pinned authority. With --token-file it holds that token too, and whoever has
        the file can use it: make a token for each machine with `calvinverse token create`, so that it can be revoked
        alone. Your own token is never written. Without --token-file, `context add` asks for a token.
    """,
    examples="""
        calvinverse context export prod > prod.context
        calvinverse context export prod --token-file ada.token --to prod.context
    """,
)
def export(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `context list` shows it.")],
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Write it here, 0600.")] = None,
) -> None:
    from environments.addresses import is_loopback
    from environments.cli.context_input import read_token_to_hand_over
    from environments.client import Client
    from environments.context import load_context, state_folder
    from environments.domain.errors import InvalidInput
    from environments.exported_contexts import ExportedContext, write_export
    from environments.private_files import write_private

    context = load_context(state_folder(), name)
    if to is not None and to.exists():
        raise InvalidInput(f"{to} exists already.", hint="Choose another file, or remove it.")
    token = ""
    if session.token_file is not None:
        token = read_token_to_hand_over(session.token_file, context)
        with Client(context.address, token, ca_file=context.ca_file, pinned=context.pinned) as client:
            info = client.info()
        hint = "" if to is not None else " --to writes a file that only you can read."
        session.say(f"It holds a token of {info.owner} ({info.role}): keep it as secret as the token itself.{hint}")
    text = write_export(ExportedContext(address=context.address, authority=authority_of(context), token=token))
    if to is None:
        session.print(text)
    else:
        write_private(to, f"{text}\n")
    if is_loopback(context.address):
        session.say(f"On another machine, {context.address} leads to that machine itself: it needs a tunnel there.")
    session.say(f"Next, on the other machine: `calvinverse context add {name} --from FILE`.")


@command("context", "remove", examples="calvinverse context remove prod --yes")
def remove(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `context list` shows it.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    from environments import named_contexts
    from environments.context import state_folder
    from environments.domain.errors import InvalidInput

    if name == named_contexts.DEFAULT:
        raise InvalidInput(
            f"The context {name!r} can't be removed: it is the service that this machine deployed or serves.",
            hint="`doit undeploy` removes that service; `calvinverse context use` chooses another context.",
        )
    state = state_folder()
    if name not in named_contexts.names(state):
        raise named_contexts.unknown(state, name)
    session.confirm(for_command("context", "remove"), name, yes)
    was_current = named_contexts.remove(state, name)
    session.show({"name": name, "removed": True}, lambda: [f"The context {name} and its token file are removed."])
    if was_current:
        session.say(f"It was the current context; now that is {named_contexts.DEFAULT}.")
    session.say("The token itself stays valid until it expires or is revoked: see `calvinverse token list`.")


def _where(session: Session) -> str:
    from environments.domain.errors import CalvinverseError

    try:
        return f"the address {session.context().address}, and no context"
    except CalvinverseError as error:
        return f"none of them: {error.message}"


def _warn_of_variables(session: Session, name: str) -> None:
    """Says when variables choose another service than the one that somebody has just chosen."""
    import os

    from environments.context import ADDRESS_VARIABLE, CONTEXT_VARIABLE

    for variable in (CONTEXT_VARIABLE, ADDRESS_VARIABLE):
        value = os.environ.get(variable)
        if value and value != name:
            session.say(f"{variable} is set to {value!r}, which commands use instead.")
