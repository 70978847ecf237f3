"""The file of channels: who may be mailed, and what is refused."""

import base64
import hmac
from hashlib import sha256
from pathlib import Path

import pytest

from environments.channel_settings import EmailSettings, is_address, read_channels, signing_key
from environments.domain.errors import InvalidInput
from environments.providers.channels.signing import signature_headers

BASE = {"host": "mail.example.net", "from": "calvinverse@example.net"}


def settings(**more: object) -> EmailSettings:
    return EmailSettings.model_validate({**BASE, **more})


def test_an_owner_is_mailed_at_the_address_of_the_file() -> None:
    found = settings(owners={"grace": "grace@example.net", "ada": ["ada@example.net", "b@example.org"]}, to="ops@a.net")
    assert found.recipients("grace") == ("grace@example.net",)
    assert found.recipients("ada") == ("ada@example.net", "b@example.org")
    assert found.recipients("linus") == ("ops@a.net",)


def test_an_owner_whose_name_is_an_address_is_mailed_there_in_the_domains_that_are_allowed() -> None:
    found = settings(domains=["example.net"], to="ops@example.net")
    assert found.recipients("grace@Example.net") == ("grace@Example.net",)
    for stranger in ("grace@example.org", "grace@sub.example.net", "grace@example.net.example.org", "grace"):
        assert found.recipients(stranger) == ("ops@example.net",)


def test_a_verified_address_is_mailed_in_the_domains_that_are_allowed() -> None:
    found = settings(domains=["example.net"], to="ops@example.net", owners={"ada": ["ada@a.net"]})
    verified = ["ada@example.net", "ada@example.org", "not an address"]
    assert found.recipients("ada", verified) == ("ada@a.net",)
    assert found.recipients("grace", verified) == ("ada@example.net",)
    assert found.recipients("grace", verified[1:]) == ("ops@example.net",)
    assert len(found.recipients("group:platform", [f"p{number}@example.net" for number in range(9)])) == 5
    assert settings(to="ops@example.net").recipients("grace", verified) == ("ops@example.net",)


@pytest.mark.parametrize(
    "owner",
    [
        "a@example.net\r\nBcc: b@example.org",
        "a@example.net, b@example.org",
        "a b@example.net",
        "<a@example.net>",
        "a@example.net\n",
        "é@example.net",
        "a@b@example.net",
        '"a\\"@example.net',
        f"{'a' * 65}@example.net",
        f"a@{'a.' * 130}example.net",
    ],
)
def test_nothing_but_a_plain_address_is_one(owner: str) -> None:
    assert not is_address(owner)
    assert settings(domains=["example.net"], to="ops@example.net").recipients(owner) == ("ops@example.net",)


@pytest.mark.parametrize(
    "text",
    [
        "[email]\nhost = 'mail.example.net'\nfrom = 'a@example.net'\n",
        "[email]\nhost = 'mail.example.net'\nfrom = 'a@example.net'\nto = 'b@example.net'\nsecurity = 'none'\n",
        "[email]\nhost = '127.0.0.1'\nfrom = 'a@x.y'\nto = 'b@x.y'\nsecurity = 'none'\nuser = 'me'\n",
        "[email]\nhost = 'mail.example.net'\nfrom = 'a@example.net\\nBcc: x@y.z'\nto = 'b@example.net'\n",
        "[email]\nhost = 'mail.example.net'\nfrom = 'a@x.y'\nto = ['a@b.c','a@b.d','a@b.e','a@b.f','a@b.g','a@b.h']\n",
        "[webhook]\nurl = 'http://example.net/in'\nsecret = 'whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo='\n",
        "[webhook]\nurl = 'https://example.net/in'\nsecret = 'HIDDEN'\n",
        "[webhook]\nurl = 'https://example.net/in'\nsecret = 'whsec_SElEREVO'\n",
        "[slack]\nurl = 'https://HIDDEN@example.net/in'\n",
        "[slack]\nurl = 'ftp://example.net/HIDDEN'\n",
        "[slack]\nurl = 'https://example.net/in'\npassword = 'HIDDEN'\n",
        "[teams]\n",
        "HIDDEN = \n",
    ],
)
def test_what_can_not_be_used_is_refused_without_its_values(tmp_path: Path, text: str) -> None:
    (tmp_path / "channels.toml").write_text(text)
    with pytest.raises(InvalidInput) as refused:
        read_channels(tmp_path / "channels.toml")
    assert "channels.toml" in refused.value.message
    assert "HIDDEN" not in refused.value.message
    assert "SElEREVO" not in refused.value.message


def test_secrets_are_not_shown() -> None:
    assert "hunter2" not in repr(settings(to="ops@example.net", user="me", password="hunter2"))


def test_a_signature_is_that_of_standard_webhooks() -> None:
    """The signature of a body, computed here by the words of the specification."""
    secret = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    headers = signature_headers(secret, "warn-1", 1_764_234_000, b'{"a": 1}')
    expected = hmac.new(bytes(range(32)), b'warn-1.1764234000.{"a": 1}', sha256).digest()
    assert headers == {
        "webhook-id": "warn-1",
        "webhook-timestamp": "1764234000",
        "webhook-signature": f"v1,{base64.b64encode(expected).decode()}",
    }


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_AAAA", "AAAA" * 12, "whsec_" + "A" * 200, "whsec_é"])
def test_a_weak_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="random bytes"):
        signing_key(secret)


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "channels.toml").write_text("#" * (256 * 1024 + 1))
    with pytest.raises(InvalidInput, match="larger than 256 KiB"):
        read_channels(tmp_path / "channels.toml")
    with pytest.raises(InvalidInput, match="can't be read"):
        read_channels(tmp_path / "missing.toml")
