"""Signing in with a browser on this machine (RFC 8252): the provider sends it back to a port of loopback.

Codes are redeemed here with the provider's client for programs, which has no secret; PKCE (S256), `state` and `nonce`
are of this attempt alone.
"""

import base64
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

from environments.addresses import is_loopback
from environments.client.trust import transport_to
from environments.domain.errors import ServiceUnavailable, SignInRefused

PATH = "/callback"
WAIT_SECONDS = 300.0
"""How long a person may take at the provider."""

_ANSWER_SECONDS = 15.0
_LARGEST_ANSWER = 256 * 1024
_SIGNED_IN = "You are signed in. You can close this page, and go back to the terminal."
_REFUSED = "You are not signed in. The terminal says why; you can close this page."


@dataclass(frozen=True)
class Endpoints:
    """What a program needs of a provider."""

    issuer: str
    client_id: str
    authorization: str
    token: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class SignedIn:
    """What the provider gives: an identity token, and the nonce that must be in it."""

    identity_token: str
    nonce: str


class Attempt:
    """One attempt to sign in. Listens on a free port of 127.0.0.1 until it is closed."""

    def __init__(self, provider: Endpoints) -> None:
        self._provider = provider
        self._state = secrets.token_urlsafe(32)
        self._nonce = secrets.token_urlsafe(32)
        self._verifier = secrets.token_urlsafe(64)
        self._came: dict[str, str] | None = None
        self._server = HTTPServer(("127.0.0.1", 0), self._handler())

    def close(self) -> None:
        """Stops listening."""
        self._server.server_close()

    @property
    def redirect(self) -> str:
        """Where the provider sends the browser."""
        return f"http://127.0.0.1:{self._server.server_port}{PATH}"

    @property
    def address(self) -> str:
        """The provider's page, with what belongs to this attempt."""
        challenge = base64.urlsafe_b64encode(sha256(self._verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._provider.client_id,
            "redirect_uri": self.redirect,
            "scope": " ".join(self._provider.scopes),
            "state": self._state,
            "nonce": self._nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        joined = "&" if urlsplit(self._provider.authorization).query else "?"
        return f"{self._provider.authorization}{joined}{urlencode(query)}"

    def wait(self, verify: Any, seconds: float = WAIT_SECONDS, tick: Callable[[], None] = lambda: None) -> SignedIn:
        """Waits until the browser comes back, and redeems the code. `verify`: as in httpx2, for the provider.

        Raises `SignInRefused`, also when nobody comes, and `ServiceUnavailable` when the provider can't be reached.
        """
        until = time.monotonic() + seconds
        self._server.timeout = 0.5
        while self._came is None:
            if time.monotonic() >= until:
                raise SignInRefused(f"Nobody has signed in within {seconds / 60:.0f} minutes.")
            self._server.handle_request()
            tick()
        code = self._code(self._came)
        return SignedIn(self._redeemed(code, verify), self._nonce)

    def _code(self, came: dict[str, str]) -> str:
        if came.get("error"):
            told = " ".join(filter(None, (came["error"][:100], came.get("error_description", "")[:300])))
            raise SignInRefused(f"The provider refuses: {told}.")
        issuer = came.get("iss")
        if issuer is not None and issuer != self._provider.issuer:
            raise SignInRefused("The answer came from another provider.")  # RFC 9207
        if not came.get("code"):
            raise SignInRefused("The provider sent no code.")
        return came["code"]

    def _redeemed(self, code: str, verify: Any) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect,
            "client_id": self._provider.client_id,
            "code_verifier": self._verifier,
        }
        where = self._provider.token
        try:
            with (
                httpx2.Client(
                    timeout=_ANSWER_SECONDS,
                    verify=verify,
                    trust_env=not is_loopback(where),
                    transport=transport_to(where, verify),
                ) as http,
                http.stream("POST", where, data=form, headers={"Accept": "application/json"}) as answer,
            ):
                body = b""
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > _LARGEST_ANSWER:
                        raise SignInRefused("The provider's answer is too large.")
        except httpx2.HTTPError as error:
            raise ServiceUnavailable(f"The provider at {where} can't be reached: {error}.") from error
        try:
            found = json.loads(body)
        except ValueError:
            found = {}
        token = found.get("id_token") if isinstance(found, dict) else None
        if answer.status_code != HTTPStatus.OK or not isinstance(token, str):
            told = str(found.get("error_description") or found.get("error") or "") if isinstance(found, dict) else ""
            raise SignInRefused(
                f"The provider gives no identity token (HTTP {answer.status_code}). {told[:300]}".strip()
            )
        return token

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        attempt = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:
                """The browser is back: notes what came, if it belongs to this attempt."""
                path, _, query = self.path.partition("?")
                came = {name: values[0] for name, values in parse_qs(query[:8192]).items()}
                ours = hmac.compare_digest(came.get("state", "").encode(), attempt._state.encode())
                if path != PATH or not ours or self.headers.get("Host") != urlsplit(attempt.redirect).netloc:
                    self._answer(HTTPStatus.NOT_FOUND, "There is nothing here.")
                    return
                attempt._came = attempt._came or came
                self._answer(HTTPStatus.OK, _SIGNED_IN if came.get("code") else _REFUSED)

            def _answer(self, status: HTTPStatus, text: str) -> None:
                page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Calvinverse</title><p>{text}</p>'
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
                self.send_header("Referrer-Policy", "no-referrer")
                self.send_header("Cache-Control", "no-store")
                self.send_header("Content-Length", str(len(page.encode())))
                self.end_headers()
                self.wfile.write(page.encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing: the address holds the code."""

        return Handler
