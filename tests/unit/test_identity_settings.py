"""The file of identity providers: what is taken, and what is refused without a value of it."""

from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.errors import InvalidInput
from environments.identity_settings import IdentitySettings, check_issuer, read_identity_settings

PROVIDER = """
[[providers]]
name = "corp"
title = "Example Corp"
issuer = "https://id.example.net/realms/corp"
client_id = "calvinverse"
client_secret = "HIDDEN"
"""
CI = """
[[ci]]
name = "shop"
issuer = "https://token.example.net"
audience = "https://calvinverse.example.net"
account = "svc-shop"
claims = { repository = "acme/shop", ref = "refs/heads/*" }
"""


def read(folder: Path, text: str) -> IdentitySettings:
    (folder / "providers.toml").write_text(text)
    return read_identity_settings(folder / "providers.toml")


def test_what_is_not_given_has_safe_defaults(tmp_path: Path) -> None:
    found = read(tmp_path, PROVIDER + CI)
    (provider,), (ci,) = found.providers, found.ci
    assert provider.algorithms == ci.algorithms == ("RS256", "ES256", "EdDSA", "PS256")
    assert provider.scopes == ("openid", "profile", "email")
    assert (provider.groups_claim, provider.public_client_id, provider.trusted_email) == ("groups", "", False)
    assert (provider.sign_in, provider.rules, provider.hosts) == ((), (), ())
    assert ci.ttl == timedelta(hours=1)
    assert "HIDDEN" not in repr(found)


def test_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    text = PROVIDER.replace('client_secret = "HIDDEN"', 'client_secret_file = "secret"\nca_file = "/etc/ca.pem"')
    (provider,) = read(tmp_path, text).providers
    assert provider.client_secret_file == tmp_path / "secret"
    assert provider.ca_file == Path("/etc/ca.pem")


def test_an_empty_file_has_no_providers(tmp_path: Path) -> None:
    assert read(tmp_path, "") == IdentitySettings()


@pytest.mark.parametrize(
    "issuer",
    [
        "http://id.example.net",
        "https://",
        "id.example.net",
        "HTTPS://id.example.net",
        "https://ada@id.example.net",
        "https://id.example.net?a=b",
        "https://id.example.net#a",
        "https://id.example.net/ b",
        "https://id.example.net/é",
        "https://id.example.net:0",
        "https://id.example.net:x",
        "ftp://id.example.net",
        "https://[::1",
    ],
)
def test_an_issuer_is_a_safe_address(issuer: str) -> None:
    with pytest.raises(ValueError, match="issuer"):
        check_issuer(issuer)


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:9400", "http://localhost:9400", "https://id.example.net/a/b/"])
def test_loopback_needs_no_tls_and_a_slash_is_kept(issuer: str) -> None:
    assert check_issuer(issuer) == issuer


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (PROVIDER + PROVIDER, "two providers have the name corp"),
        (PROVIDER + PROVIDER.replace('"corp"', '"other"'), "two providers have the same issuer"),
        (PROVIDER.replace('"corp"', '"openbao"'), "openbao is the name of the built-in provider"),
        (PROVIDER.replace('"corp"', '"Corp"'), "name: it doesn't match"),
        (PROVIDER.replace('"corp"', '"a/b"'), "name: it doesn't match"),
        (PROVIDER.replace('client_secret = "HIDDEN"', ""), "one of client_secret and client_secret_file"),
        (PROVIDER + 'client_secret_file = "x"', "one of client_secret and client_secret_file"),
        (PROVIDER + 'scopes = ["profile"]', "the scopes lack openid"),
        (PROVIDER + 'scopes = ["openid email"]', "scopes.0: it doesn't match"),
        (PROVIDER + 'algorithms = ["none"]', "algorithms.0: it must be 'RS256'"),
        (PROVIDER + 'algorithms = ["HS256"]', "algorithms.0: it must be 'RS256'"),
        (PROVIDER + "algorithms = []", "algorithms: it must have at least 1 entry"),
        (PROVIDER + 'backdated = "11m"', "backdated"),
        (PROVIDER + 'ca = "HIDDEN"', "ca holds no certificate"),
        (PROVIDER + 'ca = "HIDDEN"\nca_file = "HIDDEN"', "give one of ca and ca_file"),
        (PROVIDER + 'hosts = ["https://a.example.net"]', "hosts.0: it doesn't match"),
        (PROVIDER + "[[providers.rules]]\nclaim = 'groups'\nvalue = 'ops'\nrole = 'root'", "role: it must be 'admin'"),
        (PROVIDER + "[[providers.rules]]\nclaim = 'groups'\nvalue = ''\nrole = 'admin'", "value"),
        (PROVIDER + "[[providers.rules]]\nclaim = 'groups'\nvalue = ['a']\nrole = 'admin'", "value"),
        (PROVIDER + "[[providers.sign_in]]\nclaim = 'groups'", "value"),
        (PROVIDER + "secret = 'HIDDEN'", "secret: there is no such key"),
        (PROVIDER.replace("https://id", "http://id"), "needs https"),
        (CI + CI, "two entries of ci have the name shop"),
        (CI.replace('{ repository = "acme/shop", ref = "refs/heads/*" }', "{}"), "claims: it must have at least 1"),
        (CI.replace("acme/shop", "*").replace("refs/heads/*", "**"), "no claim pins"),
        (CI.replace("repository", "iss").replace("refs/heads/*", "**"), "no claim pins"),
        (CI.replace("acme/shop", "a***"), "a few"),
        (CI.replace("https://calvinverse.example.net", "https://token.example.net/acme"), "by default"),
        (CI + 'ttl = "2d"', "ttl"),
        (CI + 'ttl = "1s"', "ttl"),
        ("[other]", "other: there is no such key"),
        ("a = HIDDEN", "isn't TOML, at line 1"),
        ("a = " + "[" * 5000, "TOML|deep"),
    ],
)
def test_what_can_not_be_used_is_refused_without_its_values(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as refused:
        read(tmp_path, text)
    assert "HIDDEN" not in refused.value.message
    assert "providers.toml" in refused.value.message


def test_a_large_file_one_that_is_missing_and_one_that_is_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="larger than 256 KiB"):
        read(tmp_path, "#" * (256 * 1024 + 1))
    (tmp_path / "providers.toml").write_bytes(b"\xff")
    with pytest.raises(InvalidInput, match="isn't UTF-8"):
        read_identity_settings(tmp_path / "providers.toml")
    with pytest.raises(InvalidInput, match="can't be read"):
        read_identity_settings(tmp_path / "missing.toml")
