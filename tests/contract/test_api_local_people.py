"""People of the built-in provider over the API, and the endpoints of the provider that are passed on."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from environments.api.app import create_app
from environments.api.provider_endpoints import EACH_MINUTE, LARGEST_BODY
from environments.client import Client
from environments.domain.access import Person, PersonKind
from environments.domain.errors import BackendUnavailable, Forbidden, InvalidInput, NameTaken, NotAllowedNow, NotFound
from environments.service.built_in_provider import ENDPOINTS, PROVIDER_PATH, Passed
from environments.service.storage.audit import AuditFilter
from environments.wire.people_local import LocalGroupsRequest, LocalPersonRequest
from environments.wire.service_accounts import ServiceAccountRequest
from environments.wire.tokens import TokenRequest
from tests.fakes.service import EXTERNAL, Served, served

BUILT_IN = f"{EXTERNAL}{PROVIDER_PATH}"
ADA = LocalPersonRequest(user_name="ada", display_name="Ada", email="ada@example.org", groups=("platform",))


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


@pytest.fixture
def admin(api: Served) -> Iterator[Client]:
    with api.client() as made:
        yield made


@pytest.fixture
def alice(api: Served, admin: Client) -> Iterator[Client]:
    with api.client(admin.create_token(TokenRequest(owner="alice")).secret) as made:
        yield made


def test_an_admin_manages_people(admin: Client) -> None:
    made = admin.create_local_person(ADA)
    assert (made.address, made.person.user_name, made.person.must_change) == (EXTERNAL, "ada", True)
    assert len(made.password) >= 20
    with pytest.raises(NameTaken):
        admin.create_local_person(ADA)
    assert admin.disable_local_person("ada").disabled
    assert not admin.enable_local_person("ada").disabled
    assert admin.reset_local_person("ada").password != made.password
    assert admin.set_local_groups("ada", LocalGroupsRequest(groups=("b", "a"))).groups == ("a", "b")
    (found,) = admin.local_people()
    assert (found.display_name, found.email, found.groups) == ("Ada", "ada@example.org", ("a", "b"))
    assert found.subject == made.person.subject


def test_a_user_manages_nobody(admin: Client, alice: Client) -> None:
    admin.create_local_person(ADA)
    for deed in (
        alice.local_people,
        lambda: alice.create_local_person(LocalPersonRequest(user_name="bob")),
        lambda: alice.disable_local_person("ada"),
        lambda: alice.enable_local_person("ada"),
        lambda: alice.reset_local_person("ada"),
        lambda: alice.reset_local_person("nobody"),
        lambda: alice.set_local_groups("ada", LocalGroupsRequest(groups=())),
    ):
        with pytest.raises(Forbidden):
            deed()
    assert not admin.local_people()[0].disabled


@pytest.mark.parametrize(
    "changes",
    [
        {"user_name": "Ada"},
        {"user_name": "everyone"},
        {"user_name": "a:b"},
        {"user_name": "-a"},
        {"user_name": "a/b"},
        {"display_name": "a\x1bb"},
        {"email": "no address"},
        {"email": 'a"b@example.org'},
        {"groups": ("A b",)},
    ],
)
def test_a_person_s_values_are_checked(admin: Client, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        admin.create_local_person(ADA.model_copy(update=changes))
    assert admin.local_people() == []


def test_nobody_of_an_impossible_name_is_asked_for(admin: Client) -> None:
    for name in ("nobody", "No Name", "x" * 200):
        with pytest.raises(NotFound):
            admin.reset_local_person(name)


def test_the_audit_log_tells_who_did_it_and_holds_no_password(api: Served, admin: Client) -> None:
    made = admin.create_local_person(ADA)
    with pytest.raises(NameTaken):
        admin.create_local_person(ADA)
    with api.service.database.read() as tx:
        found = tx.audit.list(AuditFilter(object="ada"), limit=10)
    assert sorted((one.entry.outcome, one.entry.code) for one in found) == [
        ("allowed", ""),
        ("allowed", ""),
        ("failed", "name_taken"),
    ]
    assert {one.entry.actor for one in found} == {"root"}
    assert made.password not in repr(found)


def _known(api: Served, name: str, subject: str, issuer: str = f"{EXTERNAL}{PROVIDER_PATH}") -> None:
    """As if somebody had signed in once."""
    person = Person(name=name, kind=PersonKind.PERSON, issuer=issuer, subject=subject, created_at=datetime.now(UTC))
    with api.service.database.write() as tx:
        tx.people.add(person)


def test_disabling_ends_what_the_service_knows_of_the_person_too(api: Served, admin: Client) -> None:
    """By their identity: another name of the same person, and another person of the same name."""
    subject = admin.create_local_person(ADA).person.subject
    with api.service.database.write() as tx:  # as of a person from before names were kept
        tx.people.change("ada", subject="another-subject")
    _known(api, "ada-2", subject)
    admin.disable_local_person("ada")
    assert (admin.person("ada-2").disabled_at is None, admin.person("ada").disabled_at is None) == (False, True)
    admin.enable_local_person("ada")
    assert admin.person("ada-2").disabled_at is None


# --- names ---


def test_a_name_is_kept_from_the_beginning_and_nobody_else_gets_it(api: Served, admin: Client) -> None:
    made = admin.create_local_person(ADA)
    person = admin.person("ada")
    assert (person.kind, person.issuer, person.signed_in_at) == (PersonKind.PERSON, BUILT_IN, None)
    with api.service.database.read() as tx:
        found = tx.people.by_identity(BUILT_IN, made.person.subject)
    assert found is not None
    assert found.name == "ada"
    with pytest.raises(InvalidInput):
        admin.create_service_account(ServiceAccountRequest(name="ada"))


@pytest.mark.parametrize(
    ("person", "told"),
    [
        ({"kind": PersonKind.SERVICE_ACCOUNT}, "a service account"),
        ({"kind": PersonKind.UNCLAIMED}, "nobody's yet"),
        ({"kind": PersonKind.UNCLAIMED, "name": "ADA"}, "nobody's yet"),
        ({"kind": PersonKind.UNCLAIMED, "became": "grace"}, "belongs to 'grace'"),
        ({"kind": PersonKind.PERSON, "issuer": "https://id.example.net", "subject": "1"}, "of another provider"),
        ({"kind": PersonKind.PERSON, "issuer": BUILT_IN, "subject": "1"}, "a person 'ada' already"),
    ],
)
def test_a_name_that_somebody_has_is_refused_before_openbao_is_asked(
    api: Served, admin: Client, person: dict[str, Any], told: str
) -> None:
    with api.service.database.write() as tx:
        tx.people.add(Person(**{"name": "ada", "created_at": datetime.now(UTC), **person}))
    with pytest.raises(NameTaken, match=told) as raised:
        admin.create_local_person(ADA)
    assert ("user assign" in raised.value.hint) == (person["kind"] is PersonKind.UNCLAIMED and "became" not in person)
    assert admin.local_people() == []


def test_a_name_is_given_back_when_openbao_refuses_and_kept_when_it_may_have_made_the_person(
    api: Served, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = api.service.provider_endpoints
    calls.set_user("bob", "made by hand")
    with pytest.raises(NameTaken):
        admin.create_local_person(LocalPersonRequest(user_name="bob"))
    with pytest.raises(NotFound):
        admin.person("bob")

    def away(user: str, password: str) -> None:
        raise BackendUnavailable("OpenBao does not answer.")

    with monkeypatch.context() as broken:
        broken.setattr(calls, "set_user", away)
        with pytest.raises(BackendUnavailable):
            admin.create_local_person(ADA)
    assert admin.person("ada").kind is PersonKind.PERSON
    made = admin.create_local_person(ADA)  # the same again
    with api.service.database.read() as tx:
        assert tx.people.by_identity(BUILT_IN, made.person.subject) is not None


def test_a_reset_tells_whose_a_kept_name_is(api: Served, admin: Client) -> None:
    subject = admin.create_local_person(ADA).person.subject
    with api.service.database.write() as tx:
        tx.people.change("ada", subject=None)  # as if the service had ended in between
    admin.reset_local_person("ada")
    with api.service.database.read() as tx:
        assert tx.people.by_identity(BUILT_IN, subject) is not None


def test_a_name_that_means_two_disables_nobody_unless_it_is_said_which(api: Served, admin: Client) -> None:
    """As for people who signed in before names were kept: the service calls the provider's ada `ada-2`."""
    calls = api.service.provider_endpoints
    calls.set_user("ada", "chosen")
    login = calls.log_in("ada", "chosen")
    assert login is not None
    with api.service.database.write() as tx:
        tx.people.add(Person(name="ada", kind=PersonKind.SERVICE_ACCOUNT, created_at=datetime.now(UTC)))
    _known(api, "ada-2", login.entity)
    for deed in (admin.disable_person, admin.enable_person):
        with pytest.raises(NotAllowedNow, match="means two: a service account, and a person") as raised:
            deed("ada")
        assert "Use ada-2" in raised.value.hint
    assert admin.disable_person("ada-2").person.disabled_at is not None
    (there,) = admin.local_people()
    assert (there.user_name, there.disabled) == ("ada", True)
    assert admin.person("ada").disabled_at is None
    admin.enable_person("ada-2")
    assert admin.disable_person("ada", exact=True).person.disabled_at is not None
    assert not admin.local_people()[0].disabled
    assert admin.enable_person("ada", exact=True).disabled_at is None
    assert admin.reset_local_person("ada-2").person.user_name == "ada"
    assert admin.set_local_groups("ada-2", LocalGroupsRequest(groups=("web",))).groups == ("web",)


OLD, NEW = (f"https://{host}.example.org{PROVIDER_PATH}" for host in ("old", "new"))


def test_people_move_to_another_issuer_all_at_once(api: Served, admin: Client, alice: Client) -> None:
    for name in ("ada", "bob"):
        _known(api, name, f"subject-of-{name}", OLD)
    assert {one.issuer: one.people for one in admin.issuers()} == {OLD: 2, f"{EXTERNAL}{PROVIDER_PATH}": 0}
    assert [one.issuer for one in admin.issuers() if one.built_in] == [f"{EXTERNAL}{PROVIDER_PATH}"]
    for deed in (alice.issuers, lambda: alice.move_issuer(OLD, NEW)):
        with pytest.raises(Forbidden):
            deed()
    assert admin.move_issuer(OLD, NEW) == 2
    with api.service.database.read() as tx:
        found = tx.people.by_identity(NEW, "subject-of-ada")
        assert found is not None
        assert found.name == "ada"
        assert tx.people.by_identity(OLD, "subject-of-ada") is None
    with pytest.raises(NotFound):
        admin.move_issuer(OLD, NEW)


def test_nobody_moves_if_somebody_would_be_two(api: Served, admin: Client) -> None:
    _known(api, "ada", "subject-of-ada", OLD)
    _known(api, "bob", "subject-of-bob", OLD)
    _known(api, "ada-2", "subject-of-ada", NEW)
    with pytest.raises(NameTaken):
        admin.move_issuer(OLD, NEW)
    for name in ("ada", "bob"):
        assert admin.person(name).issuer == OLD
    for new in (OLD, "no issuer", "http://elsewhere.example.org"):
        with pytest.raises(InvalidInput):
            admin.move_issuer(OLD, new)


# --- the endpoints that are passed on ---


def _ask(api: Served, method: str, path: str, **more: Any) -> httpx2.Response:
    """A request without a token."""

    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(create_app(api.service), client=("192.0.2.7", 40000))
        async with httpx2.AsyncClient(transport=transport, base_url="http://service", timeout=30) as client:
            return await client.request(method, path, **more)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("method", "endpoint"), [(method, endpoint) for endpoint, methods in ENDPOINTS.items() for method in methods]
)
def test_the_provider_s_endpoints_are_passed_on(api: Served, method: str, endpoint: str) -> None:
    calls = api.service.provider_endpoints
    calls.answer = Passed(200, "application/json", b'{"x": 1}')
    answer = _ask(
        api, method, f"{PROVIDER_PATH}/{endpoint}", headers={"Authorization": "Bearer b.x", "X-Vault-Token": "s.x"}
    )
    assert (answer.status_code, answer.json()) == (200, {"x": 1})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert calls.passed == [(method, endpoint, b"", "application/x-www-form-urlencoded", "Bearer b.x")]


def test_a_form_is_passed_on_as_it_is_and_so_is_a_refusal(api: Served) -> None:
    calls = api.service.provider_endpoints
    calls.answer = Passed(401, "application/json", b'{"error": "invalid_client"}')
    answer = _ask(api, "POST", f"{PROVIDER_PATH}/token", data={"code": "a b"}, headers={"Authorization": "Basic eDp5"})
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})
    assert answer.headers["www-authenticate"] == "Basic"
    assert calls.passed[0][2:] == (b"code=a+b", "application/x-www-form-urlencoded", "Basic eDp5")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/sys/health"),
        ("GET", "/v1/identity/oidc/provider/calvinverse"),
        ("GET", f"{PROVIDER_PATH}/authorize"),
        ("GET", f"{PROVIDER_PATH}/"),
        ("GET", f"{PROVIDER_PATH}/userinfo/"),
        ("GET", f"{PROVIDER_PATH}//userinfo"),
        ("GET", f"{PROVIDER_PATH}%2Fuserinfo"),
        ("GET", f"{PROVIDER_PATH}/%75serinfo"),
        ("GET", f"{PROVIDER_PATH}/./userinfo"),
        ("GET", f"{PROVIDER_PATH}/userinfo;x"),
        ("GET", f"{PROVIDER_PATH}/userinfo%00"),
        ("GET", f"{PROVIDER_PATH}/.well-known/keys/../../../../../../sys/health"),
        ("GET", f"{PROVIDER_PATH}/.well-known%2f..%2f..%2f..%2f..%2fsys%2fhealth"),
        ("GET", "/V1/identity/oidc/provider/calvinverse/userinfo"),
        ("GET", "/v1/identity/oidc/provider/default/.well-known/keys"),
        ("POST", "/v1/auth/calvinverse-people/login/ada"),
        ("POST", "/v1/auth/token/revoke-self"),
        ("GET", "//v1/identity/oidc/provider/calvinverse/userinfo"),
    ],
)
def test_nothing_else_of_openbao_is_reached(api: Served, method: str, path: str) -> None:
    host = urlsplit(api.address)
    connection = HTTPConnection(str(host.hostname), host.port, timeout=20)  # sends a path as it is
    try:
        connection.request(method, path)
        assert connection.getresponse().status in (401, 404)
    finally:
        connection.close()
    assert api.service.provider_endpoints.passed == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "LIST", "OPTIONS", "HEAD", "TRACE"])
def test_other_methods_are_refused(api: Served, method: str) -> None:
    for endpoint, methods in ENDPOINTS.items():
        answer = _ask(api, method, f"{PROVIDER_PATH}/{endpoint}")
        assert (answer.status_code, answer.headers["allow"]) == (405, ", ".join(methods))
    assert _ask(api, "GET", f"{PROVIDER_PATH}/token").status_code == 405
    assert api.service.provider_endpoints.passed == []


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"content": b"x" * (LARGEST_BODY + 1)}, 413),
        ({"json": {"code": "x"}}, 422),
        ({"params": {"namespace": "x"}}, 422),
        ({"headers": [("Authorization", "Basic eDp5"), ("Authorization", "Basic eDp6")]}, 422),
        ({"headers": {"Authorization": "x" * 9000}}, 422),
    ],
)
def test_a_request_that_openbao_need_not_see_is_refused(api: Served, more: dict[str, Any], status: int) -> None:
    assert _ask(api, "POST", f"{PROVIDER_PATH}/token", **more).status_code == status
    assert api.service.provider_endpoints.passed == []


def test_one_address_asks_so_often_and_others_go_on(api: Served) -> None:
    async def ask() -> list[int]:
        app = create_app(api.service)
        statuses = []
        for address, times in (("192.0.2.7", EACH_MINUTE + 1), ("192.0.2.8", 1)):
            transport = httpx2.ASGITransport(app, client=(address, 40000))
            async with httpx2.AsyncClient(transport=transport, base_url="http://service", timeout=30) as client:
                answers = [await client.get(f"{PROVIDER_PATH}/.well-known/keys") for _ in range(times)]
            statuses += [answers[0].status_code, answers[-1].status_code]
        return statuses

    assert asyncio.run(ask()) == [200, 429, 200, 200]
