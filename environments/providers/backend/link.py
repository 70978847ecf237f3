"""What the clients of all vendors share: how they find a part and a token, time limits, and error messages."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import requests

from environments.domain.errors import BackendDenied, BackendError, BackendUnavailable, CredentialUnknown
from environments.providers.backend.bounded import AnswerTooLarge
from environments.providers.backend.calls import TITLES, Part, TokenSource, is_away, knows_no_token, part_session
from environments.providers.backend.connections import Connections, Endpoint, token_source

CALL_LIMIT = 15.0
"""Seconds that one call may take, in addition to the wait that a blocking query asks for."""

_POOL = 32
"""Connections kept open to a part: steps run side by side."""

_LONGEST_QUOTE = 300

Client = TypeVar("Client")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Fault:
    """Why a call failed: the HTTP status (None when there was no answer) and what the part said."""

    status: int | None
    said: str


class Missing(BackendError):
    """A part answered 404; clients return None for it where that is a valid answer."""


class Link(Generic[Client]):
    """Calls one part through a vendor's client, which is rebuilt whenever its address or token changes.

    `connections` is asked before each call, because addresses may appear while a deployment runs. `explain` gives what
    an exception of the vendor's client means; None for exceptions of other libraries.
    """

    def __init__(
        self,
        part: Part,
        connections: Callable[[], Connections],
        build: Callable[[Endpoint, str, requests.Session], Client],
        explain: Callable[[Exception], Fault | None],
    ) -> None:
        self._part: Part = part
        self._connections = connections
        self._build = build
        self._explain = explain
        self._lock = threading.Lock()
        self._endpoint: Endpoint | None = None
        self._tokens: TokenSource | None = None
        self._client: tuple[str, Client] | None = None

    def call(self, doing: str, use: Callable[[Client], Result]) -> Result:
        """What `use` gives. `doing` completes "Consul refuses our credential to …".

        A refused token is renewed once. Raises `BackendUnavailable`, `BackendDenied`, `BackendError`, and `Missing` for
        a plain 404.
        """
        endpoint, tokens = self._find()
        token = tokens.token()
        try:
            return use(self._client_for(endpoint, token))
        except Exception as error:
            fault = self._fault(error)
            if fault is None:
                raise
            other = tokens.renew(token) if self._denied(fault) else None
            if other is None or other == token:
                raise self._error(endpoint, doing, fault) from error
        return self.call_as(endpoint, self._client_for(endpoint, other), doing, use)

    @contextmanager
    def with_token(self, token: str) -> Iterator["TokenLink[Client]"]:
        """The same part with another token, which isn't renewed: for as long as it is needed for one use."""
        endpoint, _ = self._find()
        with _session(endpoint) as session:
            yield TokenLink(self, endpoint, self._build(endpoint, token, session))

    def call_as(self, endpoint: Endpoint, client: Client, doing: str, use: Callable[[Client], Result]) -> Result:
        """What `use` gives with that client. Raises what `call` raises."""
        try:
            return use(client)
        except Exception as error:
            fault = self._fault(error)
            if fault is None:
                raise
            raise self._error(endpoint, doing, fault) from error

    def _find(self) -> tuple[Endpoint, TokenSource]:
        endpoint = self._connections().endpoint(self._part)
        with self._lock:
            if self._tokens is None or endpoint != self._endpoint:
                self._endpoint, self._tokens, self._client = endpoint, token_source(self._part, endpoint), None
            return endpoint, self._tokens

    def _client_for(self, endpoint: Endpoint, token: str) -> Client:
        with self._lock:
            if self._client is None or self._client[0] != token:
                self._client = (token, self._build(endpoint, token, _session(endpoint)))
            return self._client[1]

    def _fault(self, error: Exception) -> Fault | None:
        if isinstance(error, requests.Timeout):
            return Fault(None, "it didn't answer in time")
        if isinstance(error, AnswerTooLarge):
            return Fault(None, str(error))
        if isinstance(error, RecursionError | json.JSONDecodeError):
            return Fault(None, "its answer can't be read")
        if isinstance(error, requests.RequestException):
            return Fault(None, "it can't be reached")
        return self._explain(error)

    def _denied(self, fault: Fault) -> bool:
        return fault.status in (401, 403) or knows_no_token(self._part, fault.status, fault.said)

    def _error(self, endpoint: Endpoint, doing: str, fault: Fault) -> Exception:
        title = TITLES[self._part]
        said = " ".join(fault.said.split())[:_LONGEST_QUOTE].rstrip(".")
        details = {"part": self._part, "status": fault.status, "address": endpoint.address, "said": said}
        if fault.status is None:
            return BackendUnavailable(f"{title} at {endpoint.address} is away: {said}.", details=details)
        if self._denied(fault):
            # Right after a start, before they have read their state, Consul and Nomad also refuse valid tokens. The
            # service's token may do everything there, so such a refusal is temporary.
            kind = BackendDenied if self._part == "vault" else CredentialUnknown
            return kind(f"{title} at {endpoint.address} refuses our credential to {doing}: {said}.", details=details)
        if fault.status == 404:
            return Missing(f"{title} at {endpoint.address} has nothing there to {doing}: {said}.", details=details)
        if is_away(fault.status, fault.said):
            return BackendUnavailable(f"{title} at {endpoint.address} isn't ready: {said}.", details=details)
        return BackendError(
            f"{title} at {endpoint.address} failed to {doing}: {said} (status {fault.status}).", details=details
        )


class TokenLink(Generic[Client]):
    """One part with a token that isn't renewed: see `Link.with_token`."""

    def __init__(self, link: Link[Client], endpoint: Endpoint, client: Client) -> None:
        self._link = link
        self._endpoint = endpoint
        self._client = client

    def call(self, doing: str, use: Callable[[Client], Result]) -> Result:
        """See `Link.call`."""
        return self._link.call_as(self._endpoint, self._client, doing, use)


def _session(endpoint: Endpoint) -> requests.Session:
    session = part_session(endpoint.address, endpoint.ca_file, endpoint.server_name, seconds=CALL_LIMIT, keep=_POOL)
    session.hooks["response"].append(_refuse_redirect)
    return session


def _refuse_redirect(response: requests.Response, *_: object, **__: object) -> None:
    """The clients of the vendors take a redirect for a successful answer."""
    if response.is_redirect:
        raise requests.TooManyRedirects("it points elsewhere", response=response)
