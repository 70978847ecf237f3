"""Contexts as data of commands."""

from typing import TYPE_CHECKING, Any

from environments.cli.session import Session

if TYPE_CHECKING:
    from environments.context import Context
    from environments.domain.errors import CalvinverseError


def described(session: Session, context: "Context") -> dict[str, Any]:
    """A context for people and machines; `current`: whether commands use it. `authority`: fingerprints."""
    from environments.authorities import fingerprints
    from environments.domain.errors import CalvinverseError

    try:
        used = session.context().name
    except CalvinverseError:  # a context or an address that can't be used is none of those that are shown
        used = ""
    return {
        "name": context.name,
        "address": context.address,
        "current": bool(context.name) and context.name == used,
        "token_file": context.token_file,
        "authority": fingerprints(authority_of(context)),
    }


def damaged(name: str, error: "CalvinverseError") -> dict[str, Any]:
    """What is shown of a context that can't be read: its name, and why."""
    return {
        "name": name,
        "address": "",
        "current": False,
        "token_file": None,
        "authority": [],
        "error": error.message,
    }


def authority_of(context: "Context") -> str:
    """The pinned authority in PEM; empty: none. Raises `InvalidInput` when its file can't be read."""
    from environments.domain.errors import InvalidInput

    if context.ca_file is None:
        return "" if context.pinned is None else context.pinned.pem
    try:
        return context.ca_file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The CA file {context.ca_file} can't be read.", hint="Check its path.") from error


def authority_in_short(found: dict[str, Any]) -> str:
    if found["authority"]:
        return f"pinned {found['authority'][0][:23]}…"
    return "those of this machine" if found["address"].startswith("https:") else "none (plain HTTP)"
