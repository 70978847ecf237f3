"""What is refused on the pages, and at the routes of signing in, is told to the audit log, and no secret with it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlencode

import httpx2
import pytest

from environments.domain.access import Person, PersonKind
from environments.pages.requests import SESSION_COOKIE
from environments.providers.openbao_people.page import OpenBaoAuthorizationPage
from environments.providers.openbao_people.people import OpenBaoLocalPeople
from environments.service.built_in_provider import AUTHORIZE_PATH
from environments.service.storage.audit import AuditEntry
from tests.component.web.conftest import Site
from tests.fakes.backends.openbao_people import MemoryPeopleCalls

TYPED = "correct horse battery"
"""A password, wherever it is typed."""


@pytest.fixture
def http(site: Site) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=site.address, verify=False, trust_env=False, timeout=60) as client:
        yield client


def written(site: Site) -> list[AuditEntry]:
    """What the collector has for the audit log now, without uses of tokens."""
    return list(site.service.audit_collector.take(all=True))


def known(site: Site, name: str) -> Person:
    person = Person(name=name, kind=PersonKind.PERSON, issuer="i", subject=name, created_at=datetime.now(UTC))
    with site.service.database.write() as tx:
        tx.people.add(person)
    return person


def test_wrong_passwords_are_counted_and_name_only_people_there_are(site: Site, http: httpx2.Client) -> None:
    calls = MemoryPeopleCalls(site.address)
    people = OpenBaoLocalPeople(calls, site.address, lambda: datetime.now(UTC))
    site.service.authorization_page = OpenBaoAuthorizationPage(calls, people, lambda: datetime.now(UTC))
    people.create("ada", display_name="Ada", email="", groups=())
    known(site, "ada")
    client = calls.web_client()
    query = urlencode(
        {
            **{"response_type": "code", "client_id": client.id, "redirect_uri": client.redirects[0]},
            **{"scope": "openid", "state": "s", "nonce": "n", "code_challenge": "c" * 43},
            "code_challenge_method": "S256",
        }
    )
    for name in ("ada", "ada", "nobody", TYPED.replace(" ", "")):
        form = {"user_name": name, "password": TYPED}
        answer = http.post(f"{AUTHORIZE_PATH}?{query}", data=form, headers={"Origin": site.address})
        assert answer.status_code == 403, answer.text
    found = sorted(written(site), key=lambda entry: entry.object_name)
    assert [(one.action, one.object_name, one.count, one.code) for one in found] == [
        ("session:sign_in", "", 2, "sign_in_refused"),
        ("session:sign_in", "ada", 2, "sign_in_refused"),
    ]
    assert {(one.actor_kind, one.outcome, one.request) for one in found} == {
        ("unknown", "refused", f"POST {AUTHORIZE_PATH}")
    }
    assert TYPED not in repr(found)
    assert TYPED.replace(" ", "") not in repr(found)


def test_refused_forms_of_somebody_signed_in_are_entries(site: Site, http: httpx2.Client) -> None:
    ada = known(site, "ada")
    with site.service.database.write() as tx:
        made = site.service.sessions.begin(tx, ada, address="127.0.0.1", note="browser")
    http.cookies.set(SESSION_COOKIE, made.secret)
    for path in ("/sign-out", "/sessions/revoke", "/device", "/device/approve"):
        assert http.post(path, data={"code": "BBBB-BBBB"}, headers={"Origin": site.address}).status_code == 403
    found = written(site)
    assert [(one.actor, one.request, one.outcome, one.code) for one in found] == [
        ("ada", f"POST {path}", "refused", "forbidden")
        for path in ("/sign-out", "/sessions/revoke", "/device", "/device/approve")
    ]
    assert {one.token_id for one in found} == {made.token.id}
    page = http.get("/sessions").text
    token = page.partition('name="form_token" value="')[2].partition('"')[0]
    assert token
    for path, form in (("/sessions/revoke", {"session": "tok-2345678abcde"}), ("/device", {"code": "BBBB-BBBB"})):
        sent = http.post(path, data={**form, "form_token": token}, headers={"Origin": site.address})
        assert sent.status_code == 404
    assert [(one.actor, one.request, one.code) for one in written(site)] == [
        ("ada", "POST /sessions/revoke", "not_found"),
        ("ada", "POST /device", "not_found"),
    ]


def test_refused_identity_tokens_device_codes_and_answers_are_counted_by_address(
    site: Site, http: httpx2.Client
) -> None:
    asked = {"provider": "corp", "identity_token": f"x.{TYPED.replace(' ', '')}.y"}
    for _ in range(3):
        assert 400 <= http.post("/v1/auth/exchange", json=asked).status_code < 500
    ci = {"rule": "shop", "identity_token": asked["identity_token"]}
    assert 400 <= http.post("/v1/auth/exchange/ci", json=ci).status_code < 500
    assert http.post("/v1/auth/device/token", json={"device_code": "x" * 43}).status_code == 400
    assert http.get("/sign-in/callback?state=x&code=y").status_code == 403
    [found] = written(site)
    assert (found.action, found.actor_kind, found.count, found.address) == (
        "session:sign_in",
        "unknown",
        6,
        "127.0.0.1",
    )
    waiting = http.post("/v1/auth/device", json={"machine": "build-7"}).json()
    assert http.post("/v1/auth/device/token", json={"device_code": waiting["device_code"]}).status_code == 400
    assert written(site) == []
