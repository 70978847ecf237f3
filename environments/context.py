"""Where the service is and which token to send: written by deploy and `calvinverse serve`, read by every client.

The context is `<state>/context.json`, 0600. It names the token's file; the token itself is never in it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from environments.domain.errors import InvalidInput, Unauthenticated
from environments.private_files import write_private

CONTEXT_FILE = "context.json"
DEFAULT_ADDRESS = "http://127.0.0.1:8400"
ADDRESS_VARIABLE = "CALVINVERSE_ADDRESS"
TOKEN_FILE_VARIABLE = "CALVINVERSE_TOKEN_FILE"
CA_FILE_VARIABLE = "CALVINVERSE_CA_FILE"
STATE_VARIABLE = "CALVINVERSE_STATE"


_GIVE_TOKEN = f"Give one with --token-file or {TOKEN_FILE_VARIABLE}."


class Context(BaseModel):
    """A service and its token. `ca_file` None: the CAs that this machine trusts. `name` is shown to people."""

    model_config = ConfigDict(frozen=True)

    address: str = DEFAULT_ADDRESS
    token_file: Path | None = None
    ca_file: Path | None = None
    name: str = ""
    stored_for: str = Field("", exclude=True)
    """The address that a stored token is for, when that is another one."""

    def read_token(self) -> str:
        """The token. Raises `Unauthenticated` when no file is named, or it can't be read."""
        if self.token_file is None:
            hint = f"The stored token is for {self.stored_for} and is sent nowhere else. {_GIVE_TOKEN}"
            raise Unauthenticated(
                f"There is no token for the service at {self.address}.", hint=hint if self.stored_for else ""
            )
        try:
            token = self.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Unauthenticated(f"The token file {self.token_file} can't be read.") from error
        if not token:
            raise Unauthenticated(f"The token file {self.token_file} is empty.")
        return token


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The state folder: CALVINVERSE_STATE, else `.calvinverse` of the checkout of this code, else that of the user.

    It need not exist yet.
    """
    if named := environ.get(STATE_VARIABLE):
        return Path(named).expanduser().absolute()
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "dodo.py").is_file() and (checkout / "pyproject.toml").is_file():
        return checkout / ".calvinverse"
    home = environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "calvinverse"


def stored_context(state: Path) -> Context | None:
    """The stored context; None if there is none. Raises `InvalidInput` if it can't be read."""
    path = state / CONTEXT_FILE
    try:
        return Context.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise InvalidInput(
            f"The context {path} can't be read.",
            hint="Remove it, then run `doit deploy` or `calvinverse serve`.",
        ) from error


def find_context(
    *,
    address: str | None = None,
    token_file: Path | None = None,
    ca_file: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Context:
    """The context: arguments, else variables, else what is stored, else the default address.

    A stored token is only used for the address it was stored with: it must not be sent anywhere else. Raises
    `InvalidInput` for what is no address.
    """
    stored = stored_context(state_folder(environ)) or Context()
    chosen_address = check_address(address or environ.get(ADDRESS_VARIABLE) or stored.address)
    if chosen_address.rstrip("/") != stored.address.rstrip("/"):
        stored = Context(address=chosen_address, stored_for=stored.address if stored.token_file else "")
    chosen_token = token_file or _path(environ.get(TOKEN_FILE_VARIABLE)) or stored.token_file
    chosen_ca = ca_file or _path(environ.get(CA_FILE_VARIABLE)) or stored.ca_file
    stored_for = "" if chosen_token is not None else stored.stored_for
    return stored.model_copy(update={"token_file": chosen_token, "ca_file": chosen_ca, "stored_for": stored_for})


def check_address(text: str) -> str:
    """The address of a service, checked: http or https, a host, usually a port. Raises `InvalidInput`."""
    wrong = f"{text!r} is not the address of a service"
    scheme, separator, rest = text.partition("://")
    if not separator:
        likely = f"http://{text}" if ":" in text else f"http://{text or '127.0.0.1'}:{urlsplit(DEFAULT_ADDRESS).port}"
        raise InvalidInput(f"{wrong}: it has no scheme.", hint=f"Give http:// or https:// too, such as {likely}.")
    if scheme.lower() not in ("http", "https"):
        raise InvalidInput(
            f"{wrong}: its scheme is {scheme!r}.", hint=f"Give http:// or https://, as in {DEFAULT_ADDRESS}."
        )
    try:
        parts = urlsplit(text)
        fits = bool(parts.hostname) and not parts.query and not parts.fragment and parts.port != 0
    except ValueError:
        fits = False
    if not fits or any(character.isspace() for character in rest):
        raise InvalidInput(f"{wrong}.", hint=f"Give a host and a port, as in {DEFAULT_ADDRESS}.")
    return text


def write_context(state: Path, context: Context) -> Path:
    """Stores the context atomically and returns its path. Raises `MachineError`."""
    path = state / CONTEXT_FILE
    write_private(path, context.model_dump_json(indent=2) + "\n")
    return path


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser().absolute() if text else None
