"""Identity tokens: what is taken, and everything that isn't."""

import hmac
import json
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey

from environments.domain.errors import SignInRefused
from environments.providers.oidc.keys import pick, read_keys
from environments.providers.oidc.tokens import Expected, expires_at, issued_at, verify_token
from tests.support.identity_tokens import CLIENT, EC, ISSUER, NOW, OKP, RSA, GivenKeys, encoded, right_claims, signed

KEYS = GivenKeys(RSA, EC, OKP)
EXPECTED = Expected(ISSUER, CLIENT, ("RS256", "ES256", "EdDSA", "PS256"), nonce="n-1")


def verify(token: str, expected: Expected = EXPECTED, keys: GivenKeys = KEYS) -> dict[str, object]:
    return verify_token(token, keys, expected, NOW)


def refused(token: str, why: str, expected: Expected = EXPECTED, keys: GivenKeys = KEYS) -> None:
    with pytest.raises(SignInRefused, match=why):
        verify(token, expected, keys)


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256"), (OKP, "EdDSA")])
def test_a_right_token_is_taken(key: Any, algorithm: str) -> None:
    claims = verify(signed(right_claims(groups=["ops"]), key, algorithm))
    assert (claims["sub"], claims["groups"]) == ("ada-1", ["ops"])
    assert (issued_at(claims), expires_at(claims)) == (NOW, NOW + timedelta(minutes=10))


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS512"])
def test_an_algorithm_that_is_not_named_is_refused(algorithm: str) -> None:
    refused(signed(right_claims(), RSA, algorithm), f"signed with `{algorithm}`, which isn't allowed")


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None, 1, ["RS256"]])
def test_a_token_without_a_signature_is_refused(name: object) -> None:
    refused(encoded({"alg": name, "kid": "rsa"}, right_claims(), ""), "isn't allowed")


@pytest.mark.parametrize(("algorithm", "digest"), [("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512")])
@pytest.mark.parametrize("form", ["PEM", "modulus"])
def test_a_public_key_is_no_shared_secret(algorithm: str, digest: str, form: str) -> None:
    """CVE-2024-37568: who signs with the text of the public key."""
    public = RSA.as_pem(private=False) if form == "PEM" else str(RSA["n"]).encode()
    content = encoded({"alg": algorithm, "kid": "rsa"}, right_claims())
    signature = urlsafe_b64encode(hmac.digest(public, content.encode(), digest)).decode().rstrip("=")
    refused(f"{content}.{signature}", "isn't allowed")


def test_a_key_counts_with_algorithms_of_its_kind_alone() -> None:
    keys = read_keys(KEYS.document)
    for kid, fitting in {"rsa": {"RS256", "PS256"}, "ec": {"ES256"}, "okp": {"EdDSA", "Ed25519"}}.items():
        for algorithm in ("RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519", "HS256", "none"):
            assert (pick(keys, kid, algorithm) is not None) == (algorithm in fitting), (kid, algorithm)


def test_only_keys_that_sign_and_are_long_enough_are_read() -> None:
    def members(**more: object) -> dict[str, object]:
        return {**RSA.as_dict(), **more}

    weak = "A" * 171  # 1026 bits
    odd: list[object] = [
        members(use="enc"),
        members(kty="oct", k="c2VjcmV0"),
        members(n=weak),
        members(n="_" * 20_000),
        members(n=1),
        members(n="é"),
        members(e=None),
        members(kid=["rsa"]),
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {},
        None,
        "text",
    ]
    assert read_keys({"keys": odd}) == ()
    assert len(read_keys({"keys": [*odd, members(use="sig")]})) == 1
    documents: list[object] = [None, [], {}, {"keys": {}}, {"keys": None}, "text"]
    for document in documents:
        with pytest.raises(ValueError, match="no list of keys"):
            read_keys(document)


def test_a_key_of_a_document_is_public_even_if_the_document_tells_a_private_one() -> None:
    (key,) = read_keys({"keys": [RSA.as_dict(private=True)]})
    assert not key.is_private


def test_a_token_that_names_no_key_needs_one_alone_that_fits() -> None:
    token = signed(right_claims(), RSA, header={})
    assert verify(token)["sub"] == "ada-1"
    refused(token, "a key that the provider doesn't have", keys=GivenKeys(RSA, RSAKey.generate_key(2048)))


def test_a_key_that_the_provider_does_not_have_is_refused() -> None:
    other = RSAKey.generate_key(2048, parameters={"kid": "other"})
    refused(signed(right_claims(), other), "a key that the provider doesn't have")
    refused(signed(right_claims(), other, header={"kid": "rsa"}), "The signature of the identity token is wrong")
    refused(signed(right_claims(), ECKey.generate_key("P-256"), "ES256", {"kid": "ec"}), "signature")


@pytest.mark.parametrize("header", ["jwk", "jku", "x5c", "x5u"])
def test_a_key_in_the_token_itself_is_not_used(header: str) -> None:
    other = RSAKey.generate_key(2048, parameters={"kid": "rsa"})
    values = {"jwk": other.as_dict(), "x5c": ["AAAA"]}
    more = {"kid": "rsa", header: values.get(header, "https://example.org/keys")}
    refused(signed(right_claims(), other, header=more), r"signature|can't be read")


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://id.example.net/"}, "of the issuer `https://id.example.net/`, not"),
        ({"iss": "https://ID.example.net"}, "of the issuer"),
        ({"iss": None}, "of the issuer nothing readable"),
        ({"iss": [ISSUER]}, "of the issuer"),
        ({"aud": "other"}, "for another client"),
        ({"aud": "Calvinverse-cli"}, "for another client"),
        ({"aud": None}, "for another client"),
        ({"aud": ["other"]}, "for another client"),
        ({"aud": {CLIENT: True}}, "for another client"),
        ({"aud": [CLIENT, "other"]}, "for several clients"),
        ({"aud": [CLIENT, "other"], "azp": "other"}, "given to another client"),
        ({"azp": "other"}, "given to another client"),
        ({"azp": 1}, "given to another client"),
        ({"sub": None}, "doesn't say who"),
        ({"sub": ""}, "doesn't say who"),
        ({"sub": 7}, "doesn't say who"),
        ({"sub": "a\nb"}, "doesn't say who"),
        ({"sub": "a" * 256}, "doesn't say who"),
        ({"nonce": "n-2"}, "its nonce is wrong"),
        ({"nonce": None}, "its nonce is wrong"),
        ({"nonce": ["n-1"]}, "its nonce is wrong"),
        ({"exp": NOW.timestamp() - 60}, "has expired"),
        ({"exp": None}, "no usable `exp`"),
        ({"exp": "never"}, "no usable `exp`"),
        ({"exp": True}, "no usable `exp`"),
        ({"exp": 1e300}, "no usable `exp`"),
        ({"iat": NOW.timestamp() + 61}, "from the future"),
        ({"nbf": NOW.timestamp() + 61}, "from the future"),
        ({"nbf": "later"}, "no usable `nbf`"),
        ({"iat": NOW.timestamp() - 301}, "more than 5 minutes ago"),
        ({"iat": None}, "no usable `iat`"),
        ({"iat": -1}, "no usable `iat`"),
    ],
)
def test_claims_that_are_not_what_they_must_be_are_refused(claims: dict[str, Any], why: str) -> None:
    refused(signed(right_claims(**claims)), why)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": [CLIENT]},
        {"aud": [CLIENT, "other"], "azp": CLIENT},
        {"azp": CLIENT},
        {"exp": NOW.timestamp() - 59},
        {"iat": NOW.timestamp() + 59, "nbf": NOW.timestamp() + 59},
        {"iat": NOW.timestamp() - 299.5},
    ],
)
def test_clocks_may_differ_by_a_minute_and_a_token_may_be_for_several(claims: dict[str, Any]) -> None:
    assert verify(signed(right_claims(**claims)))["sub"] == "ada-1"


def test_without_a_nonce_none_is_compared_and_an_old_token_counts_where_it_may_be_old() -> None:
    token = signed(right_claims(iat=NOW.timestamp() - 7200, nonce=None))
    assert verify(token, Expected(ISSUER, CLIENT, ("RS256",), fresh=None))["sub"] == "ada-1"


def test_a_large_token_is_refused_before_it_is_read() -> None:
    refused("a" * (32 * 1024 + 1), "larger than 32 KiB")


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "é.é.é",
        "bm8.bm8.bm8",
        encoded([], {}, ""),
        encoded("W1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tb" * 300, {}, ""),
        encoded({"alg": "RS256", "crit": ["exp"], "exp": 1}, {}, ""),
        encoded({"alg": "RS256", "b64": False}, {}, ""),
        encoded({"alg": "RS256", "kid": {"a": 1}}, {}, ""),
        encoded({"alg": "RS256", "kid": "a" * 501}, {}, ""),
        encoded({"alg": "RS256", "kid": "rsa"}, right_claims(), ""),
        encoded({"alg": "RS256", "kid": "rsa"}, right_claims(), "AAAA"),
        encoded({"alg": "RS256", "kid": "rsa"}, right_claims(), "!"),
    ],
)
def test_garbage_is_refused(token: str) -> None:
    refused(token, "identity token")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"null",
        b'{"sub": NaN}',
        b'{"exp": 1e999}',
        b"\xff",
        b"[" * 5000,
        json.dumps(right_claims(deep=json.loads("[" * 25 + "]" * 25))).encode(),
        json.dumps(right_claims(name="\ud800")).encode(),
        json.dumps(right_claims(name="\0")).encode(),
        json.dumps(right_claims(number=2**70)).encode(),
    ],
)
def test_claims_that_can_not_be_kept_are_refused_although_they_are_signed(payload: bytes) -> None:
    refused(signed(payload), "holds no claims")


def test_a_changed_token_is_refused() -> None:
    header, payload, signature = signed(right_claims()).split(".")
    _, other, _ = signed(right_claims(sub="grace-1")).split(".")
    refused(f"{header}.{other}.{signature}", "signature")
    refused(f"{header}.{payload}.{signature[:-8]}AAAAAAAA", "signature")


@given(st.text(max_size=300))
def test_any_text_is_refused_in_words(text: str) -> None:
    refused(text, "identity token")
