"""A CI system's identity token is exchanged once, by a rule, for a short token of a service account."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx2
import pytest

from environments.api.routes import ci_exchange as route
from environments.domain.access import TokenScope
from environments.domain.errors import Forbidden, InvalidInput, Unauthenticated
from environments.identity_settings import read_identity_settings
from environments.providers.oidc.configured import ConfiguredProviders
from environments.service import ci_exchange
from environments.service.ci_exchange import CiExchange
from environments.service.storage.audit import AuditEntry, AuditFilter
from environments.wire.environments import CreateRequest
from environments.wire.service_accounts import ServiceAccountRequest
from tests.fakes.service import Served, served
from tests.support.identity_tokens import EC, right_claims, signed
from tests.support.oidc_providers import StrictProvider, strict_provider

AUDIENCE = "https://calvinverse.example.net"

RULES = """
[[ci]]
name = "shop"
issuer = "{issuer}"
audience = "https://calvinverse.example.net"
account = "svc-shop"
templates = ["web"]
ttl = "30m"
[ci.claims]
repository_id = "123456"
ref = "refs/heads/*"
event_name = "push"

[[ci]]
name = "orphan"
issuer = "{issuer}"
audience = "https://calvinverse.example.net"
account = "nobody"
claims = {{ project_id = "7" }}

[[ci]]
name = "mistyped"
issuer = "{issuer}"
audience = "https://calvinverse.example.net"
account = "svc-shop"
actions = ["environment:craete"]
claims = {{ project_id = "7" }}
"""


@dataclass
class Setting:
    """The API, and an issuer of CI tokens."""

    api: Served
    issuer: StrictProvider

    def token(self, key: Any = None, algorithm: str = "RS256", **more: object) -> str:
        """An identity token of a job, right unless told otherwise."""
        claims = {
            "iss": self.issuer.issuer,
            "aud": AUDIENCE,
            "sub": "repo:acme/shop:ref:refs/heads/main",
            "repository": "acme/shop",
            "repository_id": "123456",
            "ref": "refs/heads/main",
            "event_name": "push",
            "run_id": "42",
            "jti": token_hex(8),
            "nonce": None,
            **more,
        }
        return signed(right_claims(datetime.now(UTC), **claims), key or self.issuer.key, algorithm)

    def exchange(self, token: str, rule: str = "shop") -> httpx2.Response:
        asked = {"rule": rule, "identity_token": token}
        return httpx2.post(f"{self.api.address}/v1/auth/exchange/ci", json=asked, timeout=60, trust_env=False)

    def entries(self) -> list[AuditEntry]:
        with self.api.service.database.read() as tx:
            return [one.entry for one in tx.audit.list(AuditFilter(action=ci_exchange.ACTION))]


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    with strict_provider() as issuer, served(tmp_path / "service") as api:
        rules = tmp_path / "identity.toml"
        rules.write_text(RULES.format(issuer=issuer.issuer))
        service = api.service
        issuers = ConfiguredProviders(rules, lambda: datetime.now(UTC))
        numbers = iter("abcdefghijk")
        service.ci_exchange = CiExchange(
            service.database, issuers, lambda: datetime.now(UTC), lambda kind: f"{kind}-{next(numbers) * 12}"
        )
        with api.client() as admin:
            admin.create_service_account(ServiceAccountRequest(name="svc-shop"))
        yield Setting(api, issuer)


def test_a_job_gets_a_short_token_that_does_what_the_rule_says(setting: Setting) -> None:
    answer = setting.exchange(setting.token())
    assert answer.status_code == 201
    made = answer.json()
    token = made["token"]
    assert (token["owner"], token["kind"], token["scope"]["templates"]) == ("svc-shop", "ci", ["web"])
    life = datetime.fromisoformat(token["expires_at"]) - datetime.fromisoformat(token["created_at"])
    assert life == timedelta(minutes=30)
    with setting.api.client(made["secret"]) as ci:
        assert ci.info().owner == "svc-shop"
        assert ci.create(CreateRequest(name="demo", template="web")).environment.owner == "svc-shop"
        with pytest.raises(Forbidden):
            ci.create_service_account(ServiceAccountRequest(name="svc-stays"))
    [entry] = setting.entries()
    assert (entry.actor, entry.rule, entry.outcome, entry.token_id) == ("svc-shop", "shop", "allowed", token["id"])
    assert entry.after is not None
    assert (entry.after["repository"], entry.after["run_id"]) == ("acme/shop", "42")
    assert made["secret"] not in str(entry)


def test_a_token_is_exchanged_once(setting: Setting) -> None:
    token = setting.token()
    assert setting.exchange(token).status_code == 201
    again = setting.exchange(token)
    assert (again.status_code, again.json()["code"]) == (401, "sign_in_refused")
    assert "used before" in again.json()["detail"]
    assert setting.entries()[0].reason == "This identity token was used before."
    assert token not in str(setting.entries())


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"repository_id": "999"}, "`repository_id` is 999"),
        ({"repository_id": None}, "`repository_id` is missing"),
        ({"repository_id": ["123456"]}, '`repository_id` is ["123456"]'),
        ({"ref": "refs/pull/7/merge", "event_name": "pull_request"}, "`ref` is refs/pull/7/merge"),
        ({"ref": "refs/heads/a/b"}, "`ref` is refs/heads/a/b"),
        ({"event_name": "pull_request_target"}, "`event_name` is pull_request_target"),
        ({"aud": "https://github.com/acme"}, "another client"),
        ({"aud": [AUDIENCE, "https://else.example.net"]}, "several clients"),
        ({"iss": "https://else.example.net"}, "is of the issuer"),
        ({"iat": int(datetime.now(UTC).timestamp()) - 4000}, "ago"),
        ({"exp": int(datetime.now(UTC).timestamp()) - 100}, "expired"),
        ({"nbf": int(datetime.now(UTC).timestamp()) + 3000}, "future"),
    ],
    ids=str,
)
def test_another_job_is_refused_and_told_only_what_its_own_token_says(
    setting: Setting, more: dict[str, Any], told: str
) -> None:
    answer = setting.exchange(setting.token(**more))
    assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_refused")
    assert told in answer.json()["detail"]
    assert "123456" not in answer.text or "123456" in str(more)
    with setting.api.client() as admin:
        assert admin.account_tokens("svc-shop") == []


def test_the_audit_log_says_which_rule_refused_and_what_it_wants(setting: Setting) -> None:
    setting.exchange(setting.token(ref="refs/tags/v1"))
    [entry] = setting.entries()
    assert (entry.outcome, entry.code, entry.rule) == ("refused", "sign_in_refused", "shop")
    assert "refs/heads/*" in entry.reason


def test_what_is_signed_by_somebody_else_or_otherwise_is_refused(setting: Setting) -> None:
    unsigned = setting.token().rpartition(".")[0] + "."
    for token in (setting.token(EC, "ES256"), unsigned, "a.b.c", "nothing"):
        assert setting.exchange(token).status_code == 401
    assert setting.exchange(setting.token(), "nothing").status_code == 401
    assert setting.entries() == []


def test_a_rule_without_a_good_account_gives_nothing(setting: Setting) -> None:
    answer = setting.exchange(setting.token(project_id="7"), "orphan")
    assert answer.status_code == 401
    assert "nobody" not in answer.text
    assert "no service account" in setting.entries()[0].reason
    assert setting.exchange(setting.token(project_id="7"), "mistyped").status_code == 401
    assert "environment:craete" in setting.entries()[0].reason
    with setting.api.client() as admin:
        first = setting.exchange(setting.token()).json()["secret"]
        admin.disable_service_account("svc-shop")
        assert "disabled" in setting.exchange(setting.token()).json()["detail"]
    with setting.api.client(first) as ci, pytest.raises(Unauthenticated):
        ci.info()


def test_an_account_has_only_so_many_such_tokens_and_they_take_no_place_of_others(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ci_exchange, "MOST_LIVING", 1)
    assert setting.exchange(setting.token()).status_code == 201
    answer = setting.exchange(setting.token())
    assert answer.status_code == 429
    assert 1700 < int(answer.headers["Retry-After"]) <= 1801


def test_refused_exchanges_of_an_address_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "_REFUSED_EACH_MINUTE", 2)
    with served(tmp_path) as api:
        asked = {"rule": "nothing", "identity_token": "a.b.c"}
        answers = [
            httpx2.post(f"{api.address}/v1/auth/exchange/ci", json=asked, timeout=60, trust_env=False) for _ in range(3)
        ]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (('repository_id = "123456"', 'actor = "ada"'), "no claim pins a repository"),
        (('repository_id = "123456"', 'repository = "acme*/shop"'), "no claim pins a repository"),
        (('audience = "https://calvinverse.example.net"', 'audience = "{issuer}"'), "by default"),
        (('ttl = "30m"', 'ttl = "2h"'), "ttl"),
        (('templates = ["web"]', 'actions = ["environment create"]'), "actions"),
    ],
    ids=["no pin", "half a name", "default audience", "too long", "no such action"],
)
def test_a_rule_that_is_not_safe_is_refused_when_the_file_is_read(
    tmp_path: Path, change: tuple[str, str], why: str
) -> None:
    path = tmp_path / "identity.toml"
    path.write_text(RULES.replace(*change).format(issuer="https://ci.example.net"))
    with pytest.raises(InvalidInput, match=why):
        read_identity_settings(path)


def test_a_rule_limits_actions_too(tmp_path: Path) -> None:
    path = tmp_path / "identity.toml"
    limited = RULES.replace('templates = ["web"]', 'actions = ["environment:create", "environment:destroy"]')
    path.write_text(limited.format(issuer="https://ci.example.net"))
    [rule, *_] = read_identity_settings(path).ci
    assert rule.actions == ("environment:create", "environment:destroy")
    assert TokenScope(actions=rule.actions, templates=rule.templates).templates is None
