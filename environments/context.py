"""Which service a client talks to, and with which token: one of the contexts, or what a person gives.

The context `default` is `<state>/context.json`, 0600, which deploy and `calvinverse serve` write. It names the token's
file; the token itself is never in it. The others are `environments.named_contexts`.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from environments import named_contexts, stored_sessions
from environments.addresses import DEFAULT_ADDRESS, check_safe_address
from environments.authorities import PinnedAuthority
from environments.domain.errors import InvalidInput, NotFound, Unauthenticated
from environments.homes import expanded
from environments.kept_files import NotKept, read_token
from environments.named_contexts import DEFAULT
from environments.private_files import write_private

CONTEXT_FILE = "context.json"
AUTHORITY_FILE = "service-ca.pem"
"""The authority (PEM) of the service that deploy runs, in the state folder; the context `default` names it."""
CONTEXT_VARIABLE = "CALVINVERSE_CONTEXT"
ADDRESS_VARIABLE = "CALVINVERSE_ADDRESS"
TOKEN_FILE_VARIABLE = "CALVINVERSE_TOKEN_FILE"
CA_FILE_VARIABLE = "CALVINVERSE_CA_FILE"
STATE_VARIABLE = "CALVINVERSE_STATE"


_GIVE_TOKEN = f"Give one with --token-file or {TOKEN_FILE_VARIABLE}."


class ServiceAddress(BaseModel):
    """Where a service listens itself. `ca_file` None: the CAs that this machine trusts."""

    model_config = ConfigDict(frozen=True)

    address: str
    ca_file: Path | None = None


class Context(BaseModel):
    """A service and its token. `ca_file` None: the pinned authority, else the CAs that this machine trusts.

    `name` is shown to people. As `find_context` gives it, it is the name of the chosen context, empty if there is none.
    """

    model_config = ConfigDict(frozen=True)

    address: str = DEFAULT_ADDRESS
    token_file: Path | None = None
    ca_file: Path | None = None
    name: str = ""
    behind_edge: ServiceAddress | None = None
    """Where the service itself listens on this machine, if `address` is that of an edge in front of it."""
    page_port: int | None = None
    """Where the web page of a service that was deployed here listens on loopback; None: there is none."""
    pinned: PinnedAuthority | None = Field(None, exclude=True)
    """The authority that must have signed the service's certificate."""
    signed_in: bool = Field(False, exclude=True)
    """Whether the token is that of a session of `calvinverse login`."""
    stored_for: str = Field("", exclude=True)
    """The address that a stored token is for, when that is another one."""

    def without_edge(self) -> "Context":
        """The same service at its own address, if this machine knows it; else this context."""
        own = self.behind_edge
        if own is None:
            return self
        changes = {"address": own.address, "ca_file": own.ca_file, "pinned": None, "behind_edge": None}
        return self.model_copy(update=changes)

    def read_token(self) -> str:
        """The token. Raises `Unauthenticated` when no file is named, or it can't be read."""
        if self.token_file is None:
            hint = f"The stored token is for {self.stored_for} and is sent nowhere else. {_GIVE_TOKEN}"
            raise Unauthenticated(
                f"There is no token for the service at {self.address}.", hint=hint if self.stored_for else ""
            )
        try:
            return read_token(self.token_file)
        except NotKept as error:
            raise Unauthenticated(f"The token file {self.token_file} can't be read: {error}.") from error


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The state folder: CALVINVERSE_STATE, else `.calvinverse` of the checkout of this code, else that of the user.

    It need not exist yet. Raises `InvalidInput` where it would be below a home that doesn't exist.
    """
    if named := environ.get(STATE_VARIABLE):
        return expanded(named, STATE_VARIABLE).absolute()
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "dodo.py").is_file() and (checkout / "pyproject.toml").is_file():
        return checkout / ".calvinverse"
    home = environ.get("XDG_STATE_HOME") or "~/.local/state"
    return expanded(home, STATE_VARIABLE) / "calvinverse"


def stored_context(state: Path) -> Context | None:
    """The stored context; None if there is none. Raises `InvalidInput` if it can't be read."""
    named_contexts.require_folders(state)
    path = state / CONTEXT_FILE
    try:
        return _with_files(Context.model_validate_json(path.read_bytes()), lambda file: _found(state, file))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise InvalidInput(
            f"The context {path} can't be read.",
            hint="Remove it, then run `doit deploy` or `calvinverse serve`.",
        ) from error


def find_context(
    *,
    name: str | None = None,
    address: str | None = None,
    token_file: Path | None = None,
    ca_file: Path | None = None,
    current: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Context:
    """The context: what is given, else variables, else the current context, else the default address.

    - `name` chooses a context, and then variables don't count: they may be meant for another service.
    - Else `address`, CALVINVERSE_ADDRESS or CALVINVERSE_CONTEXT choose. Else it is the context `current`; None: the one
      that was chosen with `calvinverse context use`, else `default`.
    - `token_file` and `ca_file`, else their variables, replace those of the context. Without a token file the session
      that `calvinverse login` keeps for the context stands in place of its own token.

    A stored token is only used for the address it was stored with: it must not be sent anywhere else. Raises
    `InvalidInput` for what is no address and for a context and an address together, `UnsafeAddress` for plain HTTP
    beyond loopback, `NotFound` for an unknown context.
    """
    if name and address:
        raise InvalidInput("Both a context and an address are given.", hint="Give either --context or --address.")
    state = state_folder(environ)
    variables: Mapping[str, str] = {} if name else environ
    asked = address or variables.get(ADDRESS_VARIABLE)
    wanted = name or (None if address else variables.get(CONTEXT_VARIABLE))
    if asked and wanted:
        raise InvalidInput(
            f"Both {CONTEXT_VARIABLE} and {ADDRESS_VARIABLE} are set.", hint="Unset one of them, or give --context."
        )
    if asked:
        chosen = _at(check_safe_address(asked), state)
    elif wanted:
        chosen = load_context(state, wanted)
    else:
        chosen = _current(state, current or named_contexts.current(state))
    changes: dict[str, object] = {}
    if (token := token_file or _path(variables, TOKEN_FILE_VARIABLE)) is not None:
        changes |= {"token_file": token, "stored_for": ""}
    elif chosen.name and stored_sessions.find(state, chosen.name, chosen.address) is not None:
        changes |= {"token_file": stored_sessions.token_file(state, chosen.name), "signed_in": True}
    if (ca := ca_file or _path(variables, CA_FILE_VARIABLE)) is not None:
        changes |= {"ca_file": ca, "pinned": None}
    return chosen.model_copy(update=changes)


def load_context(state: Path, name: str) -> Context:
    """The context of this name. Raises `NotFound` with near names, `InvalidInput`, `UnsafeAddress`."""
    if name != DEFAULT:
        found = named_contexts.read(state, name)
        return Context(
            address=check_safe_address(found.address),
            token_file=named_contexts.token_file(state, name),
            name=name,
            pinned=PinnedAuthority(found.authority, name) if found.authority else None,
        )
    stored = stored_context(state)
    if stored is None:
        raise NotFound(
            f"There is no context {DEFAULT!r}: this machine has not deployed or served a service.",
            hint="See the contexts with `calvinverse context list`.",
        )
    return stored.model_copy(update={"name": DEFAULT})


def _current(state: Path, name: str) -> Context:
    try:
        return load_context(state, name)
    except NotFound as error:
        if name == DEFAULT:
            return Context()
        raise NotFound(
            f"There is no context {name!r}, which is the current one.",
            hint="Choose another one with `calvinverse context use`; `calvinverse context list` shows them.",
        ) from error


def _at(address: str, state: Path) -> Context:
    """The current context or `default` if it has this address, at its edge or behind it; else one without a token."""
    stored_for = ""
    names = [DEFAULT]
    with suppress(InvalidInput):  # which one is current doesn't matter to somebody who says where to go
        names.insert(0, named_contexts.current(state))
    for name in dict.fromkeys(names):
        with suppress(NotFound):
            known = load_context(state, name)
            for context in (known, known.without_edge()):
                if context.address.rstrip("/") == address.rstrip("/"):
                    return context
            stored_for = stored_for or (known.address if known.token_file else "")
    return Context(address=address, stored_for=stored_for)


def write_context(state: Path, context: Context) -> Path:
    """Stores the context atomically and returns its path: files in the state folder by their names, so that it can be
    moved. Raises `MachineError`.
    """
    path = state / CONTEXT_FILE
    stored = _with_files(context, lambda file: Path(file.name) if file.parent == state else file)
    write_private(path, stored.model_dump_json(indent=2) + "\n")
    return path


def _with_files(context: Context, change: Callable[[Path], Path]) -> Context:
    """The context with other paths of its files."""
    own = context.behind_edge
    changes: dict[str, object] = {
        "token_file": context.token_file and change(context.token_file),
        "ca_file": context.ca_file and change(context.ca_file),
    }
    if own is not None and own.ca_file is not None:
        changes["behind_edge"] = own.model_copy(update={"ca_file": change(own.ca_file)})
    return context.model_copy(update=changes)


def _found(state: Path, file: Path) -> Path:
    """The path of a file that a stored context names. An older version named those of the state folder absolutely."""
    here = state / file.name
    return here if not file.is_absolute() or (not file.exists() and here.exists()) else file


def _path(variables: Mapping[str, str], name: str) -> Path | None:
    return expanded(text, name).absolute() if (text := variables.get(name)) else None
