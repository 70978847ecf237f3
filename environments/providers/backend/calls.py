"""Plain calls of the HTTP interfaces of Consul, OpenBao (or Vault) and Nomad: JSON in and out, errors as sentences."""

import json
import re
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import requests

from environments.domain.errors import BackendDenied, BackendError, BackendUnavailable
from environments.providers.backend.bounded import AnswerTooLarge, bounded_session, trusting

Part = Literal["consul", "vault", "nomad"]
TITLES: dict[Part, str] = {"consul": "Consul", "vault": "OpenBao", "nomad": "Nomad"}
TOKEN_HEADERS: dict[Part, str] = {
    "consul": "X-Consul-Token",
    "vault": "X-Vault-Token",
    "nomad": "X-Nomad-Token",
}

LARGEST_ANSWER = 16 * 1024 * 1024
"""Bytes; the largest are lists of everything in a cluster."""

_LONGEST_QUOTE = 300
"""Characters of a backend's answer that an error message repeats."""


_FORWARDED = r"\s*(rpc error making call: |rpc error: )*"
_NO_TOKEN = re.compile(_FORWARDED + r"ACL not found\s*")
_NO_LEADER = re.compile(_FORWARDED + r"[Nn]o cluster leader\s*")


def knows_no_token(part: Part, status: int | None, said: str) -> bool:
    """Whether Consul answers with a 500 that it doesn't know the token. Only these exact words count, because other
    answers may contain names that people choose.
    """
    return part == "consul" and status == 500 and _NO_TOKEN.fullmatch(said) is not None


def is_away(status: int | None, said: str) -> bool:
    """Whether a part answers but can't work: it is sealed, busy, or has no leader (which it reports as a 500)."""
    return status in (429, 502, 503, 504) or (status == 500 and _NO_LEADER.fullmatch(said) is not None)


def part_session(
    address: str, ca_file: Path | None, server_name: str = "", *, seconds: float, keep: int
) -> requests.Session:
    """A session for one part: its calls take at most `seconds`, and it keeps at most `keep` idle connections.

    `server_name`: the name that the part's certificate must have; empty: the host of the address. Raises
    `BackendUnavailable` for a CA file that can't be used.
    """
    try:
        context = trusting(str(ca_file) if ca_file else None) if address.startswith("https:") else None
    except OSError as error:
        why = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror or str(error)
        raise BackendUnavailable(
            f"The CA file {ca_file} can't be used: {why}.",
            hint="Restore it, or run `doit deploy`, which writes what is missing.",
        ) from error
    return bounded_session(
        context=context, seconds=seconds, largest=LARGEST_ANSWER, scatter=True, keep=keep, server_name=server_name
    )


class TokenSource(Protocol):
    """Where the credential for a call comes from."""

    def token(self) -> str:
        """A token that is valid for at least some minutes. Raises `BackendDenied`, `BackendUnavailable`."""
        ...

    def renew(self, refused: str) -> str | None:
        """Another token after `refused` was refused; None when there is no other."""
        ...


class FixedToken:
    """A token that is known already."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self) -> str:
        return self._token

    def renew(self, refused: str) -> str | None:
        return None


class Caller:
    """Calls one part at one address. A call takes at most `timeout` seconds; a refused token is renewed once."""

    def __init__(
        self,
        part: Part,
        address: str,
        tokens: TokenSource | None = None,
        *,
        ca_file: Path | None = None,
        server_name: str = "",
        timeout: float = 10.0,
    ) -> None:
        self.part: Part = part
        self.address = address
        self._tokens = tokens
        self._session = part_session(address, ca_file, server_name, seconds=timeout, keep=1)
        # Connections are closed after each call: calls are rare and callers many.
        self._session.headers["Connection"] = "close"

    def get(self, path: str) -> Any:
        """The answer's JSON, or None when there is no such thing."""
        return self.call("GET", path, missing_ok=True)

    def call(self, method: str, path: str, body: Any = None, *, missing_ok: bool = False) -> Any:
        """The answer's JSON (None if it is empty).

        Raises `BackendUnavailable` (no answer, sealed, no leader), `BackendDenied` (token refused) or `BackendError`.
        """
        token = self._tokens.token() if self._tokens else None
        response = self._send(method, path, body, token)
        if response.status_code == 403 and self._tokens and token is not None:
            other = self._tokens.renew(token)
            if other is not None and other != token:
                response = self._send(method, path, body, other)
        if response.status_code == 404 and missing_ok:
            return None
        if 200 <= response.status_code < 300:
            return self._content(response)
        raise self._error(method, path, response)

    def status(self, path: str) -> int | None:
        """The status of a GET without a token; None when there is no answer."""
        try:
            return self._session.get(self.address + path).status_code
        except requests.RequestException:
            return None

    def moment(self, path: str) -> datetime | None:
        """The part's clock (UTC, whole seconds), as the answer to a GET without a token tells; None: it told none."""
        try:
            return parsedate_to_datetime(self._session.get(self.address + path).headers["Date"]).astimezone(UTC)
        except (requests.RequestException, KeyError, ValueError, OverflowError):
            return None

    def _send(self, method: str, path: str, body: Any, token: str | None) -> requests.Response:
        headers = {TOKEN_HEADERS[self.part]: token} if token else {}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            return self._session.request(method, self.address + path, data=content, headers=headers)
        except requests.Timeout as error:
            raise BackendUnavailable(f"{TITLES[self.part]} at {self.address} didn't answer in time.") from error
        except AnswerTooLarge as error:
            raise BackendError(f"{TITLES[self.part]} at {self.address}: {error}.") from error
        except requests.RequestException as error:
            raise BackendUnavailable(f"{TITLES[self.part]} at {self.address} can't be reached: {error}.") from error

    def _content(self, response: requests.Response) -> Any:
        if not response.content:
            return None
        try:
            return response.json()
        except (ValueError, RecursionError):
            return response.text

    def _error(self, method: str, path: str, response: requests.Response) -> BackendError:
        title, status = TITLES[self.part], response.status_code
        said = " ".join(response.text.split())[:_LONGEST_QUOTE]
        place = path.split("?")[0]
        details = {"part": self.part, "status": status, "path": place}
        if status == 403 or knows_no_token(self.part, status, response.text):
            return BackendDenied(f"{title} refuses our credential for {method} {place}: {said}.", details=details)
        if is_away(status, response.text):
            return BackendUnavailable(f"{title} at {self.address} isn't ready: {said}.", details=details)
        return BackendError(f"{title} answered {status} to {method} {place}: {said}.", details=details)
