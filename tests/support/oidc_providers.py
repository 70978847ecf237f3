"""OpenID providers for tests: a foreign one in a process of its own, and a strict one that can be made to fail."""

import base64
import contextlib
import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import httpx2
from joserfc.jwk import RSAKey

from environments.identity_settings import ProviderSettings
from environments.providers.local_cluster.agents.patience import wait_for
from tests.support.identity_tokens import right_claims, signed

REDIRECT = "https://calvinverse.example.net/sign-in/callback"
SECRET = "s&e:c r=e%t"


def settings_of(issuer: str, **more: Any) -> ProviderSettings:
    """Settings that fit both providers."""
    given = {"name": "corp", "issuer": issuer, "client_id": "calvinverse-web", "client_secret": SECRET, **more}
    return ProviderSettings.model_validate(given)


@contextlib.contextmanager
def foreign_provider(folder: Path) -> Iterator[str]:
    """oidc-provider-mock on loopback; its issuer. It signs in whoever is named, without a password."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    with (folder / "provider.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, "AUTHLIB_INSECURE_TRANSPORT": "1"}
        )
    try:
        issuer = f"http://localhost:{port}"
        assert wait_for(lambda: _answers(f"{issuer}/jwks"), 120), (folder / "provider.log").read_text()
        yield issuer
    finally:
        process.kill()
        process.wait(60)


def _answers(address: str) -> bool:
    try:
        return httpx2.get(address, timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False


def set_claims(issuer: str, subject: str, **claims: object) -> None:
    """What the foreign provider says of a person."""
    httpx2.put(f"{issuer}/users/{subject}", json=claims, timeout=30).raise_for_status()


def sign_in_at(address: str, subject: str) -> dict[str, str]:
    """What a browser brings back from a provider to which it was sent: the query of the redirect."""
    with httpx2.Client(timeout=30) as browser:
        answer = browser.get(address)
        if answer.status_code == 200:
            answer = browser.post(address, data={"sub": subject})
    assert answer.status_code in (302, 303), answer.text
    location = answer.headers["Location"]
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


@dataclass
class StrictProvider:
    """A provider that signs everybody in at once as `subject`, and checks what RFC 7636 and RFC 6749 tell it to.

    `metadata` and `claims` change what it tells; `answers` replaces what a path answers, by status, headers and body;
    `slow` is the seconds before each byte of an answer.
    """

    issuer: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, parameters={"kid": "key-1"}))
    subject: str = "ada-1"
    client: str = "calvinverse-web"
    metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    slow: float = 0.0
    asked: list[str] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def count(self, path: str) -> int:
        """How often it was asked for a path."""
        return self.asked.count(path)

    def rotate(self) -> None:
        """Has another key from now on."""
        self.key = RSAKey.generate_key(2048, parameters={"kid": f"key-{secrets.token_hex(4)}"})

    def answer(self, path: str, query: dict[str, str], form: dict[str, str], header: str) -> tuple[int, Any]:
        """Status, and JSON or the address of a redirect."""
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                **self.metadata,
            }
        if path == "/keys":
            return 200, {"keys": [self.key.as_dict()]}
        if path == "/authorize":
            if query.get("redirect_uri") != REDIRECT or query.get("client_id") != self.client:
                return 400, {"error": "invalid_request"}
            if query.get("code_challenge_method") != "S256" or not query.get("code_challenge"):
                return 400, {"error": "invalid_request"}
            code = secrets.token_urlsafe(16)
            self._codes[code] = query
            return 302, f"{REDIRECT}?{urlencode({'code': code, 'state': query['state']})}"
        if path == "/token":
            return self._token(form, header)
        return 404, {}

    def _token(self, form: dict[str, str], header: str) -> tuple[int, Any]:
        basic = base64.b64decode(header.removeprefix("Basic ")).decode().split(":") if header else []
        client, secret = map(unquote_plus, basic) if basic else (form.get("client_id"), form.get("client_secret"))
        methods = self.metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if bool(basic) != ("client_secret_basic" in methods) or (client, secret) != (self.client, SECRET):
            return 401, {"error": "invalid_client"}
        asked = self._codes.pop(form.get("code", ""), None)
        verifier = form.get("code_verifier", "")
        challenge = base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")
        if asked is None or asked["redirect_uri"] != form.get("redirect_uri") or asked["code_challenge"] != challenge:
            return 400, {"error": "invalid_grant", "error_description": "told to nobody"}
        now = datetime.now(UTC)
        claims = {"iss": self.issuer, "aud": self.client, "sub": self.subject, "nonce": asked["nonce"], **self.claims}
        return 200, {
            "access_token": "a",
            "token_type": "Bearer",
            "id_token": signed(right_claims(now, **claims), self.key),
        }


@contextlib.contextmanager
def strict_provider(tls: ssl.SSLContext | None = None) -> Iterator[StrictProvider]:
    """A strict provider on a free port of loopback."""
    provider = StrictProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(_plain(self.rfile.read(int(self.headers["Content-Length"])).decode()))

        def _answer(self, form: dict[str, str]) -> None:
            parts = urlsplit(self.path)
            provider.asked.append(parts.path)
            if parts.path in provider.answers:
                status, headers, body = provider.answers[parts.path]
            else:
                header = self.headers.get("Authorization", "")
                status, content = provider.answer(parts.path, _plain(parts.query), form, header)
                headers = {"Location": content} if status == 302 else {"Content-Type": "application/json"}
                body = b"" if status == 302 else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                for place in range(0, len(body), 1 if provider.slow else len(body)):
                    time.sleep(provider.slow)
                    self.wfile.write(body[place : place + (1 if provider.slow else len(body))])

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that goes away is no news
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    provider.issuer = f"{'http' if tls is None else 'https'}://localhost:{server.server_address[1]}"
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)


def _plain(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}
