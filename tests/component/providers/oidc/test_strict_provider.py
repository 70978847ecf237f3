"""What the service does with a provider that checks everything, that fails, or that means ill."""

import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from environments.domain.errors import BackendError, BackendUnavailable, SignInRefused
from environments.providers.oidc import fetching
from environments.providers.oidc.configured import ConfiguredProviders
from environments.providers.oidc.fetching import BackChannel
from environments.providers.oidc.provider import OidcProvider
from tests.support.authorities import make_authority
from tests.support.identity_tokens import right_claims, signed
from tests.support.oidc_providers import (
    REDIRECT,
    SECRET,
    StrictProvider,
    settings_of,
    sign_in_at,
    strict_provider,
)

VERIFIER = "v" * 43
METADATA = "/.well-known/openid-configuration"


class Clock:
    """A clock that is moved by hand; it begins now."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def strict() -> Iterator[StrictProvider]:
    with strict_provider() as provider:
        yield provider


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(strict: StrictProvider, clock: Clock) -> OidcProvider:
    return OidcProvider(settings_of(strict.issuer), clock)


def begin(client: OidcProvider) -> str:
    address = client.authorization_address(redirect=REDIRECT, state="s-1", nonce="n-1", verifier=VERIFIER)
    return sign_in_at(address, "ada-1")["code"]


def redeem(client: OidcProvider, code: str, verifier: str = VERIFIER) -> str:
    return client.redeem(code, redirect=REDIRECT, verifier=verifier, nonce="n-1").subject


@pytest.mark.parametrize(
    "methods", [None, ["client_secret_basic"], ["client_secret_post"], ["private_key_jwt", "client_secret_post"]]
)
def test_the_secret_is_sent_as_the_provider_wants_it(
    strict: StrictProvider, client: OidcProvider, methods: list[str] | None
) -> None:
    if methods is not None:
        strict.metadata["token_endpoint_auth_methods_supported"] = methods
    assert redeem(client, begin(client)) == "ada-1"


def test_the_address_has_a_challenge_a_state_and_a_nonce_and_no_secret(client: OidcProvider) -> None:
    address = client.authorization_address(redirect=REDIRECT, state="s&1", nonce="n=1", verifier=VERIFIER)
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert (query["state"], query["nonce"], query["scope"]) == ("s&1", "n=1", "openid profile email")
    assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
    assert len(query["code_challenge"]) == 43
    assert VERIFIER not in address
    assert SECRET not in address


def test_an_authorization_endpoint_with_a_query_keeps_it(strict: StrictProvider, client: OidcProvider) -> None:
    strict.metadata["authorization_endpoint"] = f"{strict.issuer}/authorize?tenant=a"
    address = client.authorization_address(redirect=REDIRECT, state="s", nonce="n", verifier=VERIFIER)
    assert address.startswith(f"{strict.issuer}/authorize?tenant=a&response_type=code&")


def test_without_the_verifier_of_its_sign_in_a_code_is_refused_and_burnt(client: OidcProvider) -> None:
    code = begin(client)
    with pytest.raises(SignInRefused, match="doesn't accept the code"):
        redeem(client, code, "w" * 43)
    with pytest.raises(SignInRefused, match="doesn't accept the code"):
        redeem(client, code)


def test_a_verifier_that_is_none_is_never_sent(client: OidcProvider) -> None:
    for verifier in ("", "short", "é" * 43):
        with pytest.raises(ValueError, match="43 to 128"):
            client.authorization_address(redirect=REDIRECT, state="s", nonce="n", verifier=verifier)


@pytest.mark.parametrize("code", ["", "a" * 5000, "é", "a\nb"])
def test_what_is_no_code_is_sent_nowhere(strict: StrictProvider, client: OidcProvider, code: str) -> None:
    with pytest.raises(SignInRefused, match="isn't one"):
        redeem(client, code)
    assert strict.count("/token") == 0


def test_a_wrong_secret_is_a_fault_of_the_settings(strict: StrictProvider, clock: Clock) -> None:
    client = OidcProvider(settings_of(strict.issuer, client_secret="HIDDEN"), clock)
    with pytest.raises(BackendError, match=r"answered 401 \(invalid_client\)") as refused:
        redeem(client, begin(client))
    assert "HIDDEN" not in f"{refused.value.message} {refused.value.hint}"


def test_the_secret_may_be_in_a_file_that_is_read_each_time(
    strict: StrictProvider, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "secret"
    client = OidcProvider(settings_of(strict.issuer, client_secret="", client_secret_file=path), clock)
    for text in (None, "", "a" * 5000):
        if text is not None:
            path.write_text(text)
        with pytest.raises(BackendError, match="client secret"):
            redeem(client, begin(client))
    path.write_text(f"{SECRET}\n")
    assert redeem(client, begin(client)) == "ada-1"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "another"}, "for another client"),
        ({"iss": "https://id.example.org"}, "of the issuer"),
        ({"exp": 1}, "has expired"),
        ({"sub": ""}, "who signed in"),
    ],
)
def test_a_token_that_comes_for_a_code_is_verified_like_any_other(
    strict: StrictProvider, client: OidcProvider, claims: dict[str, object], why: str
) -> None:
    strict.claims = claims
    with pytest.raises(SignInRefused, match=why):
        redeem(client, begin(client))


def test_a_provider_may_date_tokens_back(strict: StrictProvider, clock: Clock) -> None:
    """As Entra does, by five minutes."""
    strict.claims = {"iat": int(clock().timestamp()) - 301}
    given = {"public_client_id": "calvinverse-cli"}
    client = OidcProvider(settings_of(strict.issuer, **given), clock)
    assert redeem(client, begin(client)) == "ada-1", "the nonce says that it is of this sign-in"
    claims = {**strict.claims, "iss": strict.issuer, "aud": "calvinverse-cli"}
    token = signed(right_claims(clock(), **claims), strict.key)
    with pytest.raises(SignInRefused, match="more than 5 minutes ago"):
        client.verify(token, nonce="n-1")
    client = OidcProvider(settings_of(strict.issuer, backdated="5m", **given), clock)
    assert client.verify(token, nonce="n-1").subject == "ada-1"
    clock.ahead = timedelta(minutes=6)
    with pytest.raises(SignInRefused, match="more than 10 minutes ago"):
        client.verify(token, nonce="n-1")


def test_metadata_and_keys_are_kept_and_fetched_again(
    strict: StrictProvider, client: OidcProvider, clock: Clock
) -> None:
    for _ in range(3):
        redeem(client, begin(client))
    assert (strict.count(METADATA), strict.count("/keys")) == (1, 1)
    clock.ahead = timedelta(minutes=11)
    begin(client)
    assert strict.count(METADATA) == 2


def test_a_new_key_is_found_at_once_and_made_up_ones_cause_no_more_calls(
    strict: StrictProvider, client: OidcProvider, clock: Clock
) -> None:
    redeem(client, begin(client))
    strict.rotate()
    with pytest.raises(SignInRefused, match="a key that the provider doesn't have"):
        redeem(client, begin(client))  # the keys have just been fetched
    clock.ahead = timedelta(seconds=31)
    assert redeem(client, begin(client)) == "ada-1"
    asked = strict.count("/keys")
    strict.answers["/keys"] = (200, {}, b'{"keys": []}')
    strict.rotate()
    for _ in range(5):
        with pytest.raises(SignInRefused, match="a key that the provider doesn't have"):
            redeem(client, begin(client))
    assert strict.count("/keys") == asked == 2


def test_a_provider_that_is_away_for_a_moment_is_not_missed(
    strict: StrictProvider, client: OidcProvider, clock: Clock
) -> None:
    redeem(client, begin(client))
    strict.answers[METADATA] = strict.answers["/keys"] = (503, {}, b"")
    clock.ahead = timedelta(minutes=11)
    assert client.authorization_address(redirect=REDIRECT, state="s", nonce="n", verifier=VERIFIER)
    clock.ahead = timedelta(minutes=61)
    with pytest.raises(BackendUnavailable, match="answered 503"):
        client.authorization_address(redirect=REDIRECT, state="s", nonce="n", verifier=VERIFIER)


def test_while_keys_can_not_be_fetched_known_ones_count_and_made_up_ones_delay_nobody(
    strict: StrictProvider, client: OidcProvider, clock: Clock
) -> None:
    known = strict.key
    redeem(client, begin(client))
    strict.answers["/keys"] = (503, {}, b"")
    clock.ahead = timedelta(seconds=31)
    for _ in range(5):
        strict.rotate()
        with pytest.raises(SignInRefused, match="a key that the provider doesn't have"):
            redeem(client, begin(client))
    strict.key = known
    assert redeem(client, begin(client)) == "ada-1"
    assert strict.count("/keys") == 2


def test_many_who_sign_in_at_once_wait_for_one_call(strict: StrictProvider, client: OidcProvider) -> None:
    strict.answers[METADATA] = (503, {}, b"")
    found: list[str] = []

    def ask() -> None:
        try:
            client.authorization_address(redirect=REDIRECT, state="s", nonce="n", verifier=VERIFIER)
        except BackendUnavailable as error:
            found.append(error.message)

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == ["The identity provider corp answered 503."] * 10
    assert strict.count(METADATA) < 10


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((200, {}, b"<html>"), "with no metadata"),
        ((200, {}, b"[]"), "with no metadata"),
        ((200, {}, b"[" * 100_000), "with no metadata"),
        ((200, {}, b"\xff\xfe"), "with no metadata"),
        ((404, {}, b"{}"), "answered 404 with no metadata"),
        ((302, {"Location": "/elsewhere"}, b""), "redirects aren't followed"),
        ((307, {"Location": "http://127.0.0.1:1/"}, b""), "redirects aren't followed"),
        ((200, {}, b"{" + b" " * 300_000 + b"}"), "more than 256 KiB"),
        ((200, {"Content-Encoding": "gzip"}, b"not gzip"), "can't be reached"),
    ],
)
def test_metadata_that_can_not_be_used(
    strict: StrictProvider, client: OidcProvider, answer: tuple[int, dict[str, str], bytes], why: str
) -> None:
    strict.answers[METADATA] = answer
    with pytest.raises(BackendError, match=why):
        begin(client)
    assert set(strict.asked) == {METADATA}


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"issuer": "http://localhost:1"}, "another than"),
        ({"issuer": None}, "another than"),
        ({"token_endpoint": "https://internal.example.org/token"}, "at another host, internal.example.org"),
        ({"token_endpoint": "http://169.254.169.254/latest"}, "no usable address for codes"),
        ({"token_endpoint": "http://127.0.0.1:8200/v1/sys/seal"}, "at another host"),
        ({"token_endpoint": "file:///etc/passwd"}, "no usable address for codes"),
        ({"token_endpoint": None}, "no usable address for codes"),
        ({"token_endpoint": ["a"]}, "no usable address for codes"),
        ({"authorization_endpoint": "http://id.example.org/authorize"}, "no usable address to sign in at"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "no usable address to sign in at"),
        ({"authorization_endpoint": "https://id.example.org/\n"}, "no usable address to sign in at"),
        ({"authorization_endpoint": 1}, "no usable address to sign in at"),
        ({"code_challenge_methods_supported": ["plain"]}, "PKCE"),
        ({"token_endpoint_auth_methods_supported": ["none"]}, "no client with a secret"),
        ({"token_endpoint_auth_methods_supported": "x"}, "no client with a secret"),
    ],
)
def test_a_provider_leads_the_service_nowhere_else(
    strict: StrictProvider, client: OidcProvider, metadata: dict[str, object], why: str
) -> None:
    strict.metadata = metadata
    with pytest.raises(BackendError, match=why):
        begin(client)
    assert set(strict.asked) == {METADATA}


def test_keys_at_another_host_are_fetched_only_if_an_admin_named_it(strict: StrictProvider, clock: Clock) -> None:
    with strict_provider() as other:
        strict.metadata = {"jwks_uri": f"{other.issuer}/keys"}
        client = OidcProvider(settings_of(strict.issuer), clock)
        with pytest.raises(BackendError, match="an address for keys at another host"):
            redeem(client, begin(client))
        assert other.asked == []


@pytest.mark.parametrize(
    ("answer", "error", "why"),
    [
        ((200, {}, b"{}"), BackendError, "no identity token"),
        ((200, {}, b'{"id_token": 1}'), BackendError, "no identity token"),
        ((200, {}, b"no"), BackendError, "no identity token"),
        ((200, {}, b'{"id_token": "a.b.c"}'), SignInRefused, "can't be read"),
        ((200, {}, b'{"id_token": "' + b"a" * 40_000 + b'"}'), SignInRefused, "larger than 32 KiB"),
        ((200, {}, b"a" * 300_000), BackendError, "more than 256 KiB"),
        ((400, {}, b'{"error": "\\u001b[31m' + b"a" * 1000 + b'"}'), BackendError, "answered 400 to a code"),
        ((400, {}, b"[]"), BackendError, "answered 400 to a code"),
        ((302, {"Location": "/other"}, b""), BackendError, "redirects aren't followed"),
        ((500, {}, b"HIDDEN"), BackendUnavailable, "answered 500"),
        ((429, {}, b""), BackendUnavailable, "answered 429"),
    ],
)
def test_answers_to_a_code_that_can_not_be_used(
    strict: StrictProvider,
    client: OidcProvider,
    answer: tuple[int, dict[str, str], bytes],
    error: type[Exception],
    why: str,
) -> None:
    code = begin(client)
    strict.answers["/token"] = answer
    with pytest.raises(error, match=why) as refused:
        redeem(client, code)
    assert "HIDDEN" not in str(refused.value)
    assert "\x1b" not in str(refused.value)
    assert "/other" not in strict.asked


def test_a_slow_provider_ends_a_sign_in_in_time(
    strict: StrictProvider, client: OidcProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_LIMIT", 1.0)
    strict.slow = 0.2
    began = time.monotonic()
    with pytest.raises(BackendUnavailable, match="didn't answer within 1 s"):
        begin(client)
    assert time.monotonic() - began < 30


def test_an_issuer_with_tls_needs_a_certificate_that_is_trusted(clock: Clock, tmp_path: Path) -> None:
    authority = make_authority()
    (tmp_path / "ca.pem").write_text(authority.pem)
    certificate = authority.sign(tmp_path / "server.pem", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with strict_provider(context) as strict:
        with pytest.raises(BackendUnavailable, match="a certificate that isn't trusted"):
            begin(OidcProvider(settings_of(strict.issuer), clock))
        with pytest.raises(BackendUnavailable, match="its CA can't be used"):
            begin(OidcProvider(settings_of(strict.issuer, ca_file=tmp_path / "none.pem"), clock))
        begun = OidcProvider(settings_of(strict.issuer, ca=authority.pem), clock)
        assert begun.authorization_address(redirect=REDIRECT, state="s", nonce="n", verifier=VERIFIER)
        client = OidcProvider(settings_of(strict.issuer, ca_file=tmp_path / "ca.pem"), clock)
        address = client.authorization_address(redirect=REDIRECT, state="s", nonce="n-1", verifier=VERIFIER)
        with httpx2.Client(verify=authority.context(), timeout=30) as browser:
            location = browser.get(address).headers["Location"]
        assert redeem(client, parse_qs(urlsplit(location).query)["code"][0]) == "ada-1"


def test_the_service_may_reach_a_provider_elsewhere_than_people_do(strict: StrictProvider, clock: Clock) -> None:
    """As with the built-in one, whose issuer is the external address."""
    inner, strict.issuer = strict.issuer, "https://calvinverse.example.net"
    client = OidcProvider(settings_of(strict.issuer), clock, BackChannel(inner))
    address = client.authorization_address(redirect=REDIRECT, state="s", nonce="n-1", verifier=VERIFIER)
    assert address.startswith("https://calvinverse.example.net/authorize?")
    code = sign_in_at(address.replace(strict.issuer, inner), "ada-1")["code"]
    found = client.redeem(code, redirect=REDIRECT, verifier=VERIFIER, nonce="n-1")
    assert (found.issuer, found.subject) == ("https://calvinverse.example.net", "ada-1")


def test_a_provider_that_went_away(clock: Clock) -> None:
    with strict_provider() as strict:
        client = OidcProvider(settings_of(strict.issuer), clock)
        code = begin(client)
    with pytest.raises(BackendUnavailable, match="The identity provider corp can't be reached"):
        redeem(client, code)


def test_a_token_of_a_ci_system_is_verified_for_its_own_audience_alone(
    strict: StrictProvider, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "providers.toml"
    path.write_text(
        f"[[ci]]\nname = 'shop'\nissuer = '{strict.issuer}'\naudience = 'https://calvinverse.example.net'\n"
        "account = 'svc-shop'\nclaims = { repository = 'acme/shop' }\n"
    )
    strict.metadata = {"authorization_endpoint": None, "token_endpoint": None}  # it signs in no people
    providers = ConfiguredProviders(path, clock)

    def token(**claims: object) -> str:
        given = {"iss": strict.issuer, "aud": "https://calvinverse.example.net", "repository": "acme/shop", **claims}
        return signed(right_claims(clock(), **given), strict.key)

    assert [entry.account for entry in providers.entries()] == ["svc-shop"]
    assert providers.verify_program("shop", token())["repository"] == "acme/shop"
    with pytest.raises(SignInRefused, match="for another client"):
        providers.verify_program("shop", token(aud="https://other.example.net"))
    with pytest.raises(SignInRefused, match="minutes ago"):
        providers.verify_program("shop", token(iat=1))
    with pytest.raises(SignInRefused, match="no CI system of this name"):
        providers.verify_program("other", token())
