"""Plain calls of the HTTP interfaces of Consul, OpenBao (or Vault) and Nomad: JSON in and out, errors as sentences."""

import json
import ssl
from pathlib import Path
from typing import Any, Literal, Protocol

import httpx2

from environments.domain.errors import BackendDenied, BackendError, BackendUnavailable

Part = Literal["consul", "vault", "nomad"]
TITLES: dict[Part, str] = {"consul": "Consul", "vault": "OpenBao", "nomad": "Nomad"}
TOKEN_HEADERS: dict[Part, str] = {
    "consul": "X-Consul-Token",
    "vault": "X-Vault-Token",
    "nomad": "X-Nomad-Token",
}

_LONGEST_QUOTE = 300
"""Characters of a backend's answer that an error message repeats."""


class TokenSource(Protocol):
    """Where the credential for a call comes from."""

    def token(self) -> str:
        """A token that should be good for minutes to come. Raises `BackendDenied`, `BackendUnavailable`."""
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
    """Calls one part at one address. Every call has a time limit; a refused token is renewed once."""

    def __init__(
        self,
        part: Part,
        address: str,
        tokens: TokenSource | None = None,
        *,
        ca_file: Path | None = None,
        timeout: float = 10.0,
    ) -> None:
        self.part: Part = part
        self.address = address
        self._tokens = tokens
        verify: ssl.SSLContext | bool = address.startswith("https:")  # reading all CAs takes longer than most calls
        if verify and ca_file is not None:
            verify = ssl.create_default_context(cafile=str(ca_file))
        # No connection outlives its call: calls are rare, callers many, and nobody has to close them.
        limits = httpx2.Limits(max_keepalive_connections=0)
        self._client = httpx2.Client(base_url=address, timeout=timeout, verify=verify, trust_env=False, limits=limits)

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
        if response.is_success:
            return self._content(response)
        raise self._error(method, path, response)

    def status(self, path: str) -> int | None:
        """The status of a GET without a token; None when nobody answers."""
        try:
            return self._client.get(path).status_code
        except httpx2.HTTPError:
            return None

    def _send(self, method: str, path: str, body: Any, token: str | None) -> httpx2.Response:
        headers = {TOKEN_HEADERS[self.part]: token} if token else {}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            return self._client.request(method, path, content=content, headers=headers)
        except httpx2.TimeoutException as error:
            raise BackendUnavailable(f"{TITLES[self.part]} at {self.address} didn't answer in time.") from error
        except httpx2.HTTPError as error:
            raise BackendUnavailable(f"{TITLES[self.part]} at {self.address} can't be reached: {error}.") from error

    def _content(self, response: httpx2.Response) -> Any:
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            return response.text

    def _error(self, method: str, path: str, response: httpx2.Response) -> BackendError:
        title, status = TITLES[self.part], response.status_code
        said = " ".join(response.text.split())[:_LONGEST_QUOTE]
        place = path.split("?")[0]
        details = {"part": self.part, "status": status, "path": place}
        if status == 403 or (self.part == "consul" and "ACL not found" in said):
            return BackendDenied(f"{title} refuses our credential for {method} {place}: {said}.", details=details)
        if status in (429, 502, 503, 504) or "o cluster leader" in said or "is sealed" in said:
            return BackendUnavailable(f"{title} at {self.address} isn't ready: {said}.", details=details)
        return BackendError(f"{title} answered {status} to {method} {place}: {said}.", details=details)
