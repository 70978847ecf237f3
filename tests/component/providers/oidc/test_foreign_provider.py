"""Signing in at a provider of another kind: oidc-provider-mock, in a process of its own."""

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx2
import pytest

from environments.domain.errors import BackendError, SignInRefused
from environments.providers.oidc.provider import OidcProvider
from tests.support.oidc_providers import REDIRECT, foreign_provider, set_claims, settings_of, sign_in_at

VERIFIER = "v" * 43


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with foreign_provider(tmp_path_factory.mktemp("provider")) as issuer:
        yield issuer


def provider_at(issuer: str, **more: object) -> OidcProvider:
    return OidcProvider(settings_of(issuer, **more), lambda: datetime.now(UTC))


def begin(provider: OidcProvider, subject: str, *, nonce: str = "n-1") -> str:
    """A code for the sign-in of that person."""
    address = provider.authorization_address(redirect=REDIRECT, state="s-1", nonce=nonce, verifier=VERIFIER)
    came = sign_in_at(address, subject)
    assert came["state"] == "s-1"
    return came["code"]


def test_a_person_signs_in_and_their_claims_come(issuer: str) -> None:
    claims = {"name": "Ada Lovelace", "preferred_username": "ada", "email": "ada@example.net", "groups": ["ops", "dev"]}
    set_claims(issuer, "ada-1", **claims, email_verified=True)
    provider = provider_at(issuer, rules=[{"claim": "groups", "value": "ops", "role": "admin"}])
    found = provider.redeem(begin(provider, "ada-1"), redirect=REDIRECT, verifier=VERIFIER, nonce="n-1")
    assert (found.issuer, found.subject, found.username) == (issuer, "ada-1", "ada")
    assert (found.display_name, found.email, found.groups) == ("Ada Lovelace", "ada@example.net", ("dev", "ops"))
    assert provider.judge(found).role == "admin"
    assert len(found.token_hash) == 64


def test_an_address_of_e_mail_that_is_not_verified_is_left_out(issuer: str) -> None:
    set_claims(issuer, "eve", email="ada@example.net", email_verified=False)
    set_claims(issuer, "mallory", email="ada@example.net")
    for trusted, subject, email in ((False, "mallory", ""), (True, "mallory", "ada@example.net"), (True, "eve", "")):
        provider = provider_at(issuer, trusted_email=trusted)
        found = provider.redeem(begin(provider, subject), redirect=REDIRECT, verifier=VERIFIER, nonce="n-1")
        assert (found.email, found.groups, found.username) == (email, None, "")


def test_a_code_is_good_once(issuer: str) -> None:
    provider = provider_at(issuer)
    code = begin(provider, "grace")
    provider.redeem(code, redirect=REDIRECT, verifier=VERIFIER, nonce="n-1")
    with pytest.raises(SignInRefused, match="used before"):
        provider.redeem(code, redirect=REDIRECT, verifier=VERIFIER, nonce="n-1")


def test_a_code_of_another_sign_in_is_refused(issuer: str) -> None:
    provider = provider_at(issuer)
    code = begin(provider, "grace", nonce="n-of-another")
    with pytest.raises(SignInRefused, match="nonce"):
        provider.redeem(code, redirect=REDIRECT, verifier=VERIFIER, nonce="n-1")


def test_a_code_belongs_to_its_redirect(issuer: str) -> None:
    provider = provider_at(issuer)
    code = begin(provider, "grace")
    with pytest.raises(SignInRefused, match="of another sign-in"):
        provider.redeem(code, redirect=f"{REDIRECT}/other", verifier=VERIFIER, nonce="n-1")


def test_a_code_of_another_client_is_refused(issuer: str) -> None:
    code = begin(provider_at(issuer, client_id="other"), "grace")
    with pytest.raises(SignInRefused):
        provider_at(issuer).redeem(code, redirect=REDIRECT, verifier=VERIFIER, nonce="n-1")


def test_a_token_of_the_public_client_is_exchanged_and_no_other(issuer: str) -> None:
    provider = provider_at(issuer, public_client_id="calvinverse-cli")
    public = provider.public()
    assert public is not None
    assert (public.client_id, public.token_endpoint) == ("calvinverse-cli", f"{issuer}/oauth2/token")

    def token(client: str) -> str:
        code = begin(provider_at(issuer, client_id=client), "ada-1")
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
        answer = httpx2.post(public.token_endpoint, data=form, auth=(client, "any"), timeout=30)
        return str(answer.raise_for_status().json()["id_token"])

    assert provider.verify(token("calvinverse-cli"), nonce="n-1").subject == "ada-1"
    with pytest.raises(SignInRefused, match="nonce"):
        provider.verify(token("calvinverse-cli"), nonce="n-2")
    with pytest.raises(SignInRefused, match="for another client"):
        provider.verify(token("other"), nonce="n-1")
    with pytest.raises(SignInRefused, match="no client for programs"):
        provider_at(issuer).verify(token("calvinverse-cli"), nonce="n-1")


def test_the_issuer_is_compared_exactly(issuer: str) -> None:
    with pytest.raises(BackendError, match="says that its issuer is another than"):
        provider_at(f"{issuer}/").authorization_address(redirect=REDIRECT, state="s", nonce="n", verifier=VERIFIER)
