"""Sessions that `calvinverse login` keeps on this machine: `sessions/NAME.json` and `sessions/NAME.token`, 0600.

NAME is the context's. A session stands in place of the context's own token until it is signed out of, and only for the
address that it was made at.
"""

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from environments.private_files import discard, write_private

FOLDER = "sessions"


class StoredSession(BaseModel):
    """What is known of a session without asking the service. Times are UTC."""

    model_config = ConfigDict(frozen=True)

    address: str
    user_name: str
    provider: str = ""
    ends_at: datetime | None = None


def token_file(state: Path, context: str) -> Path:
    """The file of a session's token."""
    return state / FOLDER / f"{context}.token"


def find(state: Path, context: str, address: str) -> StoredSession | None:
    """The session of a context at that address; None if there is none, or what is stored can't be read."""
    try:
        found = StoredSession.model_validate_json(_file(state, context).read_bytes())
    except (OSError, ValidationError):
        return None
    same = found.address.rstrip("/") == address.rstrip("/")
    return found if same and token_file(state, context).is_file() else None


def store(state: Path, context: str, session: StoredSession, token: str) -> None:
    """Stores a session in place of an earlier one. Raises `MachineError`."""
    forget(state, context)  # so that no moment pairs the new token with another address
    write_private(token_file(state, context), f"{token}\n")
    write_private(_file(state, context), session.model_dump_json(indent=2) + "\n")


def forget(state: Path, context: str) -> None:
    """Removes what is stored of a session; the session itself goes on."""
    for path in (_file(state, context), token_file(state, context)):
        with suppress(OSError):
            discard(path)


def _file(state: Path, context: str) -> Path:
    return state / FOLDER / f"{context}.json"
