"""How the command line gets an identity token from a CI system: as GitHub Actions and as GitLab give it."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from environments.cli import ci_sign_in
from environments.cli.ci_sign_in import identity_token
from environments.domain.errors import CalvinverseError, InvalidInput, ServiceUnavailable, SignInRefused
from environments.providers.oidc.configured import ConfiguredProviders
from environments.service.ci_exchange import CiExchange
from environments.wire.service_accounts import ServiceAccountRequest
from tests.support.command_line import CommandLine
from tests.support.identity_tokens import right_claims, signed
from tests.support.oidc_providers import strict_provider

AUDIENCE = "https://calvinverse.example.net"


class GitHub:
    """What gives tokens to jobs: it answers what a test says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.body = json.dumps({"count": 1, "value": "header.payload.signature"}).encode()
        self.asked: list[tuple[str, str]] = []
        self.address = ""

    def environ(self, **more: str) -> dict[str, str]:
        return {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.address}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "HIDDEN",
            **more,
        }


@pytest.fixture
def github() -> Iterator[GitHub]:
    found = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append((self.path, self.headers["Authorization"]))
            self.send_response(found.status)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.address = f"http://127.0.0.1:{server.server_address[1]}"
    yield found
    server.shutdown()
    server.server_close()
    thread.join(60)


def refusal(kind: type[CalvinverseError], environ: dict[str, str]) -> CalvinverseError:
    with pytest.raises(kind) as found:
        identity_token(environ, AUDIENCE)
    assert "HIDDEN" not in f"{found.value.message} {found.value.hint} {found.value.details}"
    return found.value


def test_github_is_asked_for_a_token_for_the_audience(github: GitHub) -> None:
    assert identity_token(github.environ(), AUDIENCE) == "header.payload.signature"
    [(path, header)] = github.asked
    assert path == "/token?api-version=2.0&audience=https%3A%2F%2Fcalvinverse.example.net"
    assert header == "Bearer HIDDEN"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, b"", SignInRefused),
        (302, b"", SignInRefused),
        (200, b"not JSON", ServiceUnavailable),
        (200, b"[]", ServiceUnavailable),
        (200, b'{"value": 1}', ServiceUnavailable),
        (200, b'{"value": ""}', ServiceUnavailable),
        (200, b"x" * 200_000, ServiceUnavailable),
    ],
    ids=["forbidden", "redirect", "no JSON", "a list", "a number", "empty", "large"],
)
def test_what_is_no_token_is_told(github: GitHub, status: int, body: bytes, kind: type[CalvinverseError]) -> None:
    github.status, github.body = status, body
    refusal(kind, github.environ())


def test_a_ci_system_that_is_away_is_told(github: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ci_sign_in, "_SECONDS", 5.0)
    environ = github.environ(ACTIONS_ID_TOKEN_REQUEST_URL="http://127.0.0.1:1/HIDDEN")
    assert "gives no identity token" in refusal(ServiceUnavailable, environ).message


def test_the_request_goes_nowhere_without_tls() -> None:
    refusal(
        InvalidInput,
        {"ACTIONS_ID_TOKEN_REQUEST_URL": "http://ci.example.net/", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "HIDDEN"},
    )


def test_gitlab_has_put_it_into_a_variable() -> None:
    assert identity_token({"GITLAB_CI": "true", "CALVINVERSE_ID_TOKEN": " a.b.c \n"}, AUDIENCE) == "a.b.c"
    assert identity_token({"OTHER": "a.b.c"}, AUDIENCE, "OTHER") == "a.b.c"


def test_where_there_is_none_the_hint_says_what_the_job_lacks() -> None:
    assert "id-token: write" in refusal(InvalidInput, {"GITHUB_ACTIONS": "true"}).hint
    assert "id_tokens: {CALVINVERSE_ID_TOKEN: {aud: https" in refusal(InvalidInput, {"GITLAB_CI": "true"}).hint
    assert "GitHub Actions or GitLab" in refusal(InvalidInput, {}).hint


RULE = """
[[ci]]
name = "shop"
issuer = "{issuer}"
audience = "{audience}"
account = "svc-shop"
claims = {{ project_id = "7" }}
"""


def test_a_job_signs_in_and_works_with_what_it_got(
    cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("CALVINVERSE_ADDRESS", "CALVINVERSE_TOKEN_FILE"):
        monkeypatch.delenv(variable)
    address, now = cli.api.address, datetime.now(UTC)
    with cli.api.client() as admin:
        admin.create_service_account(ServiceAccountRequest(name="svc-shop"))

    def new_id(kind: str) -> str:
        return f"{kind}-bbbbbbbbbbbb"

    with strict_provider() as issuer:
        rules = tmp_path / "identity.toml"
        rules.write_text(RULE.format(issuer=issuer.issuer, audience=address))
        cli.service.ci_exchange = CiExchange(
            cli.service.database,
            ConfiguredProviders(rules, lambda: now),
            lambda: now,
            lambda kind: f"{kind}-bbbbbbbbbbbb",
        )
        claims: dict[str, Any] = {
            "iss": issuer.issuer,
            "aud": address,
            "project_id": "7",
            "jti": token_hex(8),
            "nonce": None,
        }
        monkeypatch.setenv("CALVINVERSE_ID_TOKEN", signed(right_claims(now, **claims), issuer.key))
        done = cli("login", "--ci", "shop", "--address", address)
        again = cli("login", "--ci", "shop", "--address", address)
    assert (done.status, done.out) == (0, f"You are svc-shop at {address}.\n"), done.err
    assert (again.status, "used before" in again.err) == (5, True)
    shown = cli("whoami", "-o", "json").json
    assert (shown["user_name"], shown["kind"]) == ("svc-shop", "ci")
    assert cli("env", "list").status == 0
    assert cli("login", "--ci", "shop", "--device").status == 2
    assert cli("login", "--ci", "shop", "--token-file", "x").status == 2
