"""People of the built-in provider, and signing in there: in OpenBao, and in its twin in memory."""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import pytest

from environments.domain.errors import (
    BackendDenied,
    InvalidInput,
    NameTaken,
    NotAllowedNow,
    NotFound,
    PasswordChangeNeeded,
    SignInRefused,
    TooManyRequests,
)
from environments.providers.backend.connections import Connections, TokenFile
from environments.providers.local_cluster.trust.names import OPENBAO_PEOPLE_MANAGER
from environments.providers.local_cluster.trust.people import people_settings
from environments.providers.oidc.fetching import BackChannel
from environments.providers.openbao_people.attempts import STRANGERS_EACH_USER
from environments.providers.openbao_people.client import OpenBaoPeople
from environments.providers.openbao_people.people import ONE_TIME_LIFE, OpenBaoLocalPeople
from environments.providers.openbao_people.ports import PeopleCalls
from environments.providers.openbao_people.provide import BuiltIn, assemble
from environments.service.built_in_provider import AUTHORIZE_PATH, CALLBACK_PATH, PROVIDER_PATH
from tests.fakes.backends.openbao_people import MemoryPeopleCalls
from tests.support.cluster import EXTERNAL_ADDRESS

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
NEW = "a long enough secret"
HERE = "192.0.2.7"


@dataclass
class Clock:
    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Provider:
    """The built-in provider, and what a browser and a client do there. `user` is a name that no other test has."""

    parts: BuiltIn
    clock: Clock
    user: str

    @property
    def people(self) -> OpenBaoLocalPeople:
        return self.parts.people

    def query(self, **changes: str) -> str:
        web = self.parts.calls.web_client()
        parameters = {
            "response_type": "code",
            "client_id": web.id,
            "redirect_uri": f"{EXTERNAL_ADDRESS}{CALLBACK_PATH}",
            "scope": "openid profile email groups",
            "state": "the-state",
            "nonce": "the-nonce",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return urlencode({name: value for name, value in {**parameters, **changes}.items() if value})

    def create(self, **values: Any) -> str:
        """The one-time password of a new person."""
        wanted = {"display_name": "Ada", "email": "ada@example.org", "groups": ("platform",), **values}
        return self.people.create(self.user, **wanted).password

    def create_with_password(self) -> None:
        self.parts.page.change_password(self.user, self.create(), NEW, address=HERE)

    def sign_in(self, password: str = NEW, *, address: str = HERE, **changes: str) -> dict[str, list[str]]:
        """What the client gets."""
        back = self.parts.page.authorize(self.user, password, self.query(**changes), address=address)
        return parse_qs(urlsplit(back).query, strict_parsing=True)

    def redeem(self, code: str, verifier: str = VERIFIER) -> tuple[int, dict[str, Any]]:
        web = self.parts.calls.web_client()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": f"{EXTERNAL_ADDRESS}{CALLBACK_PATH}",
            "code_verifier": verifier,
        }
        basic = base64.b64encode(f"{web.id}:{web.secret}".encode()).decode()
        answer = self.parts.calls.pass_on(
            "POST",
            "token",
            body=urlencode(form).encode(),
            content_type="application/x-www-form-urlencoded",
            authorization=f"Basic {basic}",
        )
        return answer.status, json.loads(answer.body)

    def claims(self) -> dict[str, Any]:
        """Of a sign-in now, at a real provider."""
        status, answer = self.redeem(self.sign_in()["code"][0])
        assert status == 200, answer
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(answer["id_token"].split(".")[1] + "=="))
        return claims


def _provider(calls: PeopleCalls, back_channel: BackChannel) -> Provider:
    clock = Clock(datetime.now(UTC))
    return Provider(assemble(calls, EXTERNAL_ADDRESS, clock, lambda: back_channel), clock, f"p{uuid4().hex[:10]}")


@pytest.fixture
def real_provider(real: Callable[[], Connections], tmp_path: Path) -> Provider:
    """With the rights that the service has for people, and no others."""
    admin, endpoint = real().caller("vault"), real().endpoint("vault")
    assert [setting.what for setting in people_settings(admin, EXTERNAL_ADDRESS) if not setting.present()] == []
    body = {"policies": [OPENBAO_PEOPLE_MANAGER], "no_default_policy": True, "ttl": "10m"}
    token = tmp_path / "token"
    token.write_text(admin.call("POST", "/v1/auth/token/create", body)["auth"]["client_token"])
    theirs = endpoint.model_copy(update={"authentication": TokenFile(token_file=token)})
    channel = BackChannel(endpoint.address, endpoint.ca_file, endpoint.server_name)
    return _provider(OpenBaoPeople(lambda: Connections(vault=theirs)), channel)


@pytest.fixture(params=["memory", "real"])
def provider(request: pytest.FixtureRequest) -> Provider:
    if request.param == "memory":
        return _provider(MemoryPeopleCalls(EXTERNAL_ADDRESS), BackChannel("http://127.0.0.1:1"))
    found: Provider = request.getfixturevalue("real_provider")
    return found


def test_a_new_person_is_listed(provider: Provider) -> None:
    made = provider.people.create(
        provider.user, display_name="Ada", email="ada@example.org", groups=("platform", "a.b")
    )
    assert made.until == provider.clock.now + ONE_TIME_LIFE
    assert made.address == EXTERNAL_ADDRESS
    (found,) = [person for person in provider.people.all() if person.user_name == provider.user]
    assert found == made.person == provider.people.named(provider.user)
    assert (found.display_name, found.email, found.groups) == ("Ada", "ada@example.org", ("a.b", "platform"))
    assert (found.disabled, found.must_change, found.created_at) == (False, True, provider.clock.now)
    assert found.subject
    assert provider.people.issuer == f"{EXTERNAL_ADDRESS}{PROVIDER_PATH}"


def test_a_name_is_given_once(provider: Provider) -> None:
    provider.create()
    with pytest.raises(NameTaken):
        provider.create()


def test_nobody_unknown_is_changed(provider: Provider) -> None:
    for change in (provider.people.disable, provider.people.enable, provider.people.reset, provider.people.named):
        with pytest.raises(NotFound):
            change(provider.user)
    with pytest.raises(NotFound):
        provider.people.set_groups(provider.user, ())
    assert provider.user not in [person.user_name for person in provider.people.all()]


def test_a_one_time_password_must_be_changed_first(provider: Provider) -> None:
    password = provider.create()
    with pytest.raises(PasswordChangeNeeded):
        provider.sign_in(password)
    provider.parts.page.change_password(provider.user, password, NEW, address=HERE)
    assert not provider.people.named(provider.user).must_change
    with pytest.raises(SignInRefused) as refused:
        provider.sign_in(password)
    assert not isinstance(refused.value, PasswordChangeNeeded)
    answer = provider.sign_in()
    assert answer["state"] == ["the-state"]
    assert len(answer["code"]) == 1


def test_with_a_one_time_password_openbao_itself_gives_no_code(provider: Provider) -> None:
    """Also to somebody who reaches OpenBao without the page."""
    login = provider.parts.calls.log_in(provider.user, provider.create())
    assert login is not None
    request = {name: values[0] for name, values in parse_qs(provider.query()).items()}
    answer = provider.parts.calls.authorize(login.token, request)
    assert (answer.code, bool(answer.error)) == ("", True)


def test_a_one_time_password_ends(provider: Provider) -> None:
    password = provider.create()
    provider.clock.now += ONE_TIME_LIFE
    with pytest.raises(SignInRefused) as refused:
        provider.sign_in(password)
    assert not isinstance(refused.value, PasswordChangeNeeded)
    with pytest.raises(SignInRefused):
        provider.parts.page.change_password(provider.user, password, NEW, address=HERE)
    provider.clock.now -= timedelta(seconds=1)
    provider.parts.page.change_password(provider.user, password, NEW, address=HERE)


@pytest.mark.parametrize("new", ["short", "x" * 73, "ä" * 37, "same as the old", "contains USER here"])
def test_a_new_password_must_be_usable(provider: Provider, new: str) -> None:
    password = provider.create()
    new = password if new == "same as the old" else new.replace("USER", provider.user.upper())
    with pytest.raises(InvalidInput):
        provider.parts.page.change_password(provider.user, password, new, address=HERE)


def test_the_longest_password_is_kept_whole(provider: Provider) -> None:
    longest = "ä" * 36
    provider.parts.page.change_password(provider.user, provider.create(), longest, address=HERE)
    provider.sign_in(longest)
    with pytest.raises(SignInRefused):
        provider.sign_in(longest[:-1])


def test_everything_wrong_is_refused_in_the_same_words(provider: Provider) -> None:
    said = set()
    provider.create_with_password()
    for user, password in ((provider.user, "wrong"), ("nobody-" + provider.user, NEW), ("No Name!", NEW), ("", "")):
        with pytest.raises(SignInRefused) as refused:
            provider.parts.page.authorize(user, password, provider.query(), address=HERE)
        said.add((refused.value.message, refused.value.code))
    provider.people.disable(provider.user)
    with pytest.raises(SignInRefused) as refused:
        provider.sign_in()
    said.add((refused.value.message, refused.value.code))
    assert len(said) == 1


def test_capitals_of_a_user_name_don_t_matter(provider: Provider) -> None:
    provider.create_with_password()
    assert provider.parts.page.authorize(f" {provider.user.upper()}", NEW, provider.query(), address=HERE)


def test_a_disabled_person_comes_back_as_the_same(provider: Provider) -> None:
    provider.create_with_password()
    before = provider.people.named(provider.user)
    assert provider.people.disable(provider.user).disabled
    with pytest.raises(SignInRefused):
        provider.sign_in()
    with pytest.raises(NotAllowedNow):
        provider.people.reset(provider.user)
    assert not provider.people.enable(provider.user).disabled
    provider.sign_in()
    assert provider.people.named(provider.user) == before


def test_a_reset_ends_the_old_password_and_keeps_the_person(provider: Provider) -> None:
    provider.create_with_password()
    before = provider.people.named(provider.user)
    login = provider.parts.calls.log_in(provider.user, NEW)
    made = provider.people.reset(provider.user)
    assert (made.person.subject, made.person.display_name, made.person.groups, made.person.must_change) == (
        before.subject,
        "Ada",
        ("platform",),
        True,
    )
    with pytest.raises(SignInRefused):
        provider.sign_in()
    assert login is not None
    request = {name: values[0] for name, values in parse_qs(provider.query()).items()}
    assert provider.parts.calls.authorize(login.token, request).code == ""
    provider.parts.page.change_password(provider.user, made.password, NEW + "2", address=HERE)
    provider.sign_in(NEW + "2")


def test_groups_are_replaced(provider: Provider) -> None:
    provider.create()
    assert provider.people.set_groups(provider.user, ("b", "a")).groups == ("a", "b")
    assert provider.people.set_groups(provider.user, ()).groups == ()


def test_a_request_is_checked_before_a_form_is_shown(provider: Provider) -> None:
    asked = provider.parts.page.check(provider.query())
    assert (asked.title, asked.origin) == ("Calvinverse", EXTERNAL_ADDRESS)
    cli = provider.parts.calls.cli_client().id
    for redirect in ("http://127.0.0.1:41234/callback", "http://localhost:1/callback", "http://127.0.0.1/callback"):
        asked = provider.parts.page.check(provider.query(client_id=cli, redirect_uri=redirect))
        assert redirect == f"{asked.origin}/callback"


BAD_REQUESTS: list[dict[str, str]] = [
    {"redirect_uri": "https://evil.example/sign-in/callback"},
    {"redirect_uri": f"{EXTERNAL_ADDRESS}{CALLBACK_PATH}/"},
    {"redirect_uri": f"{EXTERNAL_ADDRESS}{CALLBACK_PATH}?next=x"},
    {"redirect_uri": f"{EXTERNAL_ADDRESS}@evil.example{CALLBACK_PATH}"},
    {"redirect_uri": "http://127.0.0.1:41234/callback"},
    {"redirect_uri": ""},
    {"client_id": "another"},
    {"client_id": ""},
    {"response_type": "token"},
    {"scope": "profile"},
    {"state": ""},
    {"nonce": ""},
    {"code_challenge": ""},
    {"code_challenge_method": "plain"},
    {"code_challenge_method": ""},
]


@pytest.mark.parametrize("change", BAD_REQUESTS, ids=lambda change: "=".join(*change.items()))
def test_a_request_that_isn_t_valid_leads_nowhere(provider: Provider, change: dict[str, str]) -> None:
    provider.create_with_password()
    with pytest.raises(InvalidInput):
        provider.parts.page.check(provider.query(**change))
    with pytest.raises(InvalidInput):
        provider.sign_in(**change)


@pytest.mark.parametrize(
    "redirect",
    [
        "http://127.0.0.1:41234/callback/",
        "http://127.0.0.1:41234/other",
        "http://127.0.0.1:41234/callback?x=1",
        "http://127.0.0.1:41234/callback#x",
        "http://127.0.0.1:41234@evil.example/callback",
        "http://user@127.0.0.1:41234/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1:0x50/callback",
        "http://127.0.0.1:99999/callback",
        "https://127.0.0.1:41234/callback",
        "http://127.0.0.1:41234\\@evil.example/callback",
        "HTTP://127.0.0.1:41234/callback",
        "javascript:alert(1)",
        "http://[::1/callback",
    ],
)
def test_the_command_line_is_reached_on_loopback_alone(provider: Provider, redirect: str) -> None:
    with pytest.raises(InvalidInput):
        provider.parts.page.check(provider.query(client_id=provider.parts.calls.cli_client().id, redirect_uri=redirect))


def test_a_parameter_that_comes_twice_is_refused(provider: Provider) -> None:
    for more in ("&redirect_uri=https://evil.example", "&state=another", "&client_id=another"):
        with pytest.raises(InvalidInput):
            provider.parts.page.check(provider.query() + more)
    for broken in ("", "x", "%ff=1", "a=1&" * 60, provider.query() + "&x=" + "y" * 8192):
        with pytest.raises(InvalidInput):
            provider.parts.page.check(broken)


def test_a_stranger_who_guesses_is_stopped_and_doesn_t_lock_the_person_out(provider: Provider) -> None:
    provider.create_with_password()
    provider.sign_in()
    for number in range(STRANGERS_EACH_USER):
        with pytest.raises(SignInRefused):
            provider.sign_in("wrong", address=f"198.51.100.{number}")
    with pytest.raises(TooManyRequests) as refused:
        provider.sign_in("wrong", address="203.0.113.9")
    assert refused.value.details["retry_after"] > 0
    provider.sign_in()


def test_no_login_stays(provider: Provider) -> None:
    provider.create_with_password()
    provider.sign_in()
    with pytest.raises(SignInRefused):
        provider.sign_in("wrong")
    calls = provider.parts.calls
    if isinstance(calls, MemoryPeopleCalls):
        assert calls.tokens == {}


# --- what only the real provider can show ---


def test_the_identity_token_says_who_it_is(real_provider: Provider) -> None:
    real_provider.create_with_password()
    claims = real_provider.claims()
    person = real_provider.people.named(real_provider.user)
    assert claims["iss"] == real_provider.people.issuer
    assert claims["sub"] == person.subject
    assert (claims["username"], claims["name"], claims["email"], claims["email_verified"]) == (
        real_provider.user,
        "Ada",
        "ada@example.org",
        True,
    )
    assert sorted(claims["groups"]) == ["calvinverse-people", "calvinverse-people/platform"]
    assert claims["nonce"] == "the-nonce"
    assert claims["exp"] - claims["iat"] <= 300


def test_the_identity_provider_signs_a_person_in(real_provider: Provider) -> None:
    """As the pages do, from the address that a browser is sent to."""
    real_provider.create_with_password()
    found = real_provider.parts.identity.current()
    assert found is not None
    redirect = f"{EXTERNAL_ADDRESS}{CALLBACK_PATH}"
    there = found.authorization_address(redirect=redirect, state="s", nonce="n" * 20, verifier=VERIFIER)
    assert there.startswith(f"{EXTERNAL_ADDRESS}{AUTHORIZE_PATH}?")
    query = there.partition("?")[2]
    back = real_provider.parts.page.authorize(real_provider.user, NEW, query, address=HERE)
    code = parse_qs(urlsplit(back).query)["code"][0]
    claims = found.redeem(code, redirect=redirect, verifier=VERIFIER, nonce="n" * 20)
    person = real_provider.people.named(real_provider.user)
    assert (claims.issuer, claims.subject) == (real_provider.people.issuer, person.subject)
    assert (claims.username, claims.display_name, claims.email) == (real_provider.user, "Ada", "ada@example.org")
    assert claims.groups == ("platform",)
    with pytest.raises(SignInRefused):
        found.redeem(code, redirect=redirect, verifier=VERIFIER, nonce="n" * 20)
    public = found.public()
    assert public is not None
    assert public.client_id == real_provider.parts.calls.cli_client().id
    assert public.token_endpoint == f"{EXTERNAL_ADDRESS}{PROVIDER_PATH}/token"


def test_a_provider_of_another_address_is_not_offered(real_provider: Provider) -> None:
    channel = BackChannel("http://127.0.0.1:1")
    other = assemble(real_provider.parts.calls, "https://other.example", real_provider.clock, lambda: channel)
    assert other.identity.current() is None


def test_a_code_is_good_once_and_with_its_verifier(real_provider: Provider) -> None:
    real_provider.create_with_password()
    code = real_provider.sign_in()["code"][0]
    assert real_provider.redeem(code)[0] == 200
    assert real_provider.redeem(code)[0] == 400
    code = real_provider.sign_in()["code"][0]
    assert real_provider.redeem(code, "w" * 64)[0] == 400
    assert real_provider.redeem(code)[0] == 400


def test_a_code_ends_with_the_person(real_provider: Provider) -> None:
    real_provider.create_with_password()
    code = real_provider.sign_in()["code"][0]
    real_provider.people.disable(real_provider.user)
    assert real_provider.redeem(code)[0] == 400
    real_provider.people.enable(real_provider.user)
    code = real_provider.sign_in()["code"][0]
    real_provider.people.reset(real_provider.user)
    assert real_provider.redeem(code)[0] == 400


def test_the_metadata_names_the_page_at_the_external_address(real_provider: Provider) -> None:
    answer = real_provider.parts.calls.pass_on(
        "GET", ".well-known/openid-configuration", body=b"", content_type="", authorization=""
    )
    found = json.loads(answer.body)
    assert found["authorization_endpoint"] == f"{EXTERNAL_ADDRESS}{AUTHORIZE_PATH}"
    assert found["issuer"] == real_provider.people.issuer


def test_the_service_can_give_nobody_a_policy(real_provider: Provider) -> None:
    real_provider.create()
    calls, person = real_provider.parts.calls, real_provider.people.named(real_provider.user)
    assert isinstance(calls, OpenBaoPeople)
    user = f"/v1/auth/calvinverse-people/users/{real_provider.user}"
    for path, body in (
        (user, {"password": NEW, "token_policies": ["calvinverse-admin"]}),
        (user, {"token_no_default_policy": False}),
        (f"{user}/policies", {"token_policies": ["calvinverse-admin"]}),
        (f"/v1/identity/entity/id/{person.subject}", {"policies": ["calvinverse-admin"]}),
        ("/v1/identity/entity", {"name": "x", "policies": ["calvinverse-admin"]}),
        ("/v1/identity/entity-alias", {"name": real_provider.user, "canonical_id": person.subject}),
        ("/v1/identity/group/name/calvinverse-people", {"policies": ["calvinverse-admin"]}),
        ("/v1/identity/group/name/another", {"member_entity_ids": [person.subject]}),
        ("/v1/identity/oidc/client/calvinverse-web", {"redirect_uris": ["https://evil.example"]}),
        ("/v1/identity/oidc/assignment/calvinverse-people", {"entity_ids": ["*"]}),
        ("/v1/sys/policies/acl/calvinverse-person", {"policy": ""}),
    ):
        with pytest.raises(BackendDenied):
            calls._manager("POST", path, body)


def test_the_name_of_a_deleted_person_is_not_given_again(
    real_provider: Provider, real: Callable[[], Connections]
) -> None:
    real_provider.create()
    real().caller("vault").call("DELETE", f"/v1/auth/calvinverse-people/users/{real_provider.user}")
    with pytest.raises(NameTaken):
        real_provider.create()
