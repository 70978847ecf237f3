"""Where Consul, OpenBao (or Vault) and Nomad are, and how the service authenticates to them.

`connections.json` holds addresses and names of files, never a secret itself. On the machine of the person who deploys,
it points at admin tokens in files; in the deployed service at the identity that Nomad gives to the job, with which the
service logs in for an hour at a time.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from environments.addresses import exposes_tokens, port_of
from environments.domain.errors import BackendDenied, MachineError, NotConnected
from environments.domain.reasons import reason
from environments.kept_files import NotKept, read_kept, read_token
from environments.private_files import write_private
from environments.providers.backend.calls import TITLES, Caller, Part, TokenSource

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

CONNECTIONS_FILE = "connections.json"
CONNECTIONS_VARIABLE = "CALVINVERSE_CONNECTIONS"


PLAIN_HTTP = (
    "over plain HTTP beyond loopback, tokens could be read on the way: give the https:// address, and the part TLS"
)
"""Why an address is refused, and what to do."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TokenFile(_Model):
    """A token kept in a file."""

    token_file: Path


class JwtLogin(_Model):
    """A login with the workload identity that Nomad keeps in `jwt_file`.

    `method` is the name of the auth method (Consul, Nomad) or the path of the auth mount (OpenBao, with `role`).
    """

    jwt_file: Path
    method: str
    role: str = ""


class Endpoint(_Model):
    """One part: its address (`https://127.0.0.1:8500`), and `ca_file` if its certificate has a CA of its own.

    `server_name`: the name that the certificate must have. Agents that deploy starts have one; empty: the host of the
    address.
    """

    address: str
    authentication: TokenFile | JwtLogin
    ca_file: Path | None = None
    server_name: str = ""

    @field_validator("address")
    @classmethod
    def _is_safe(cls, address: str) -> str:
        if exposes_tokens(address):
            raise PydanticCustomError("plain_http", PLAIN_HTTP)
        return address


class Connections(_Model):
    """Everything that a service needs to reach its cluster; parts that don't run yet are None.

    `issuing_ca_file` is the CA of the certificates that environments get, when it is kept in a file.
    """

    consul: Endpoint | None = None
    vault: Endpoint | None = None
    nomad: Endpoint | None = None
    issuing_ca_file: Path | None = None

    @classmethod
    def load(cls, path: Path) -> "Connections":
        """The connections in that file; relative paths in it start at its folder. Raises `MachineError`."""
        try:
            text = read_kept(path)
            json.loads(text)
            connections = cls.model_validate_json(text)
        except NotKept as error:
            raise MachineError(
                f"The connections to the cluster can't be read from {path}: {error}.",
                hint="Run `doit deploy`, which writes them again, or give the addresses of existing clusters.",
            ) from error
        except (ValueError, RecursionError) as error:
            raise MachineError(
                f"The file {path} doesn't hold connections: {'; '.join(_faults(error))}.",
                hint="Correct it, or run `doit deploy`, which writes it again.",
            ) from error
        return cls.model_validate(_absolute(connections.model_dump(), path.parent))

    @classmethod
    def kept(cls, path: Path) -> "Connections":
        """Likewise for those who write all of it again: none if there is no file, or it can't be read."""
        try:
            return cls.load(path)
        except MachineError:
            return cls()

    @classmethod
    def find(cls, state: Path, environment: Mapping[str, str] | None = None) -> "Connections":
        """The connections that CALVINVERSE_CONNECTIONS names, else those of the state folder, if any."""
        named = (os.environ if environment is None else environment).get(CONNECTIONS_VARIABLE)
        if named:
            return cls.load(Path(named))
        path = state / CONNECTIONS_FILE
        return cls.load(path) if path.exists() else cls()

    def save(self, path: Path) -> None:
        """Writes the file atomically, 0600. Paths below its folder are relative, so that the folder can be moved."""
        stored = type(self).model_validate(_relative(self.model_dump(), path.parent))
        write_private(path, stored.model_dump_json(indent=2, exclude_none=True) + "\n")

    def endpoint(self, part: Part) -> Endpoint:
        """That part's endpoint. Raises `NotConnected` when there is none."""
        endpoint: Endpoint | None = getattr(self, part)
        if endpoint is None:
            raise NotConnected(f"There is no connection to {TITLES[part]}.", details={"part": part})
        return endpoint

    def ports(self) -> set[int]:
        """The ports of all parts."""
        return {port_of(one.address) for one in (self.consul, self.vault, self.nomad) if one is not None}

    def tokens(self, part: Part) -> TokenSource:
        """Tokens for that part; the source caches, so keep it. Raises `NotConnected` when there is no such part."""
        return token_source(part, self.endpoint(part))

    def caller(self, part: Part, *, timeout: float = 10.0) -> Caller:
        """A client of that part with its credential. Raises `NotConnected` when there is no such part."""
        return caller_at(self.endpoint(part), part, self.tokens(part), timeout=timeout)


def caller_at(endpoint: Endpoint, part: Part, tokens: TokenSource | None = None, *, timeout: float = 10.0) -> Caller:
    """A client of a part at that endpoint, which checks the part's certificate; without tokens it has no credential."""
    return Caller(
        part, endpoint.address, tokens, ca_file=endpoint.ca_file, server_name=endpoint.server_name, timeout=timeout
    )


_MOST_TOLD = 5
"""Faults of a file that are told."""


def _faults(error: Exception) -> list[str]:
    """What is wrong with a file, each with its line or its key, and without its values."""
    if isinstance(error, json.JSONDecodeError):
        return [f"line {error.lineno}, column {error.colno}: {error.msg[:1].lower()}{error.msg[1:]}"]
    if not isinstance(error, ValidationError):
        return ["it is nested too deeply"]
    told: list[str] = []
    for fault in _likely(error.errors()):
        key = ".".join(str(part) for part in fault["loc"] if part not in _KINDS)
        told.append(f"{key}: {reason(fault, 'an object')}" if key else reason(fault, "an object"))
    return told[:_MOST_TOLD]


_KINDS = (TokenFile.__name__, JwtLogin.__name__)


def _likely(faults: "Sequence[ErrorDetails]") -> "Iterator[ErrorDetails]":
    """The faults; of a value that may be of two kinds, those of the kind that has fewer."""
    groups: dict[Any, dict[Any, list[ErrorDetails]]] = {}
    for fault in faults:
        number = next((number for number, part in enumerate(fault["loc"]) if part in _KINDS), None)
        if number is None:
            yield fault
        else:
            groups.setdefault(fault["loc"][:number], {}).setdefault(fault["loc"][number], []).append(fault)
    for kinds in groups.values():
        yield from min(kinds.values(), key=len)


def _absolute(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {key: _absolute(item, folder) for key, item in value.items()}
    return folder / value if isinstance(value, Path) else value


def _relative(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {key: _relative(item, folder) for key, item in value.items()}
    return value.relative_to(folder) if isinstance(value, Path) and value.is_relative_to(folder) else value


def token_source(part: Part, endpoint: Endpoint, monotonic: Callable[[], float] = time.monotonic) -> TokenSource:
    """The tokens that an endpoint's authentication gives."""
    if isinstance(endpoint.authentication, TokenFile):
        return FileTokens(part, endpoint.authentication.token_file)
    return LoginTokens(part, endpoint, endpoint.authentication, monotonic)


class FileTokens:
    """The token in a file, read again each time, so replacing the file needs no restart."""

    def __init__(self, part: Part, path: Path) -> None:
        self._part: Part = part
        self._path = path

    def token(self) -> str:
        """The file's content. Raises `BackendDenied` when it can't be read."""
        return _read(self._part, self._path)

    def renew(self, refused: str) -> str | None:
        """The current content of the file, if that is another token."""
        current = self.token()
        return current if current != refused else None


class LoginTokens:
    """Tokens from logins with a workload identity, replaced after two thirds of their lifetime."""

    def __init__(self, part: Part, endpoint: Endpoint, login: JwtLogin, monotonic: Callable[[], float]) -> None:
        self._part: Part = part
        self._login = login
        self._caller = caller_at(endpoint, part)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._token: str | None = None
        self._stale_at = 0.0

    def token(self) -> str:
        """A token with at least a third of its lifetime left. Raises `BackendDenied`, `BackendUnavailable`."""
        with self._lock:
            if self._token is None or self._monotonic() >= self._stale_at:
                self._log_in()
            assert self._token is not None
            return self._token

    def renew(self, refused: str) -> str | None:
        """A new token, unless another thread has already got one."""
        with self._lock:
            if self._token == refused:
                self._log_in()
            return self._token

    def _log_in(self) -> None:
        jwt = _read(self._part, self._login.jwt_file)
        began = self._monotonic()
        if self._part == "consul":
            body = {"AuthMethod": self._login.method, "BearerToken": jwt}
            answer = self._caller.call("POST", "/v1/acl/login", body)
            token, seconds = answer["SecretID"], _lifetime(answer)
        elif self._part == "nomad":
            body = {"AuthMethodName": self._login.method, "LoginToken": jwt}
            answer = self._caller.call("POST", "/v1/acl/login", body)
            token, seconds = answer["SecretID"], _lifetime(answer)
        else:
            body = {"role": self._login.role, "jwt": jwt}
            answer = self._caller.call("POST", f"/v1/auth/{self._login.method}/login", body)["auth"]
            token, seconds = answer["client_token"], float(answer["lease_duration"])
        self._token, self._stale_at = token, began + seconds * 2 / 3


def _read(part: Part, path: Path) -> str:
    try:
        return read_token(path)
    except NotKept as error:
        raise BackendDenied(
            f"The credential for {TITLES[part]} can't be read from {path}: {error}.",
            hint="Run `doit deploy` again.",
        ) from error


_UNLIMITED = 3600.0
"""Seconds after which the service logs in again if the token has no expiry."""


def _lifetime(answer: Mapping[str, Any]) -> float:
    """Seconds between creation and expiry, both by the clock of the backend."""
    if not answer.get("ExpirationTime"):
        return _UNLIMITED
    return (_moment(answer["ExpirationTime"]) - _moment(answer["CreateTime"])).total_seconds()


def _moment(text: str) -> datetime:
    # Go writes nanoseconds; datetime reads microseconds at most.
    head, _, rest = text.partition(".")
    if rest:
        zone = rest.lstrip("0123456789")
        text = head + zone
    return datetime.fromisoformat(text)
