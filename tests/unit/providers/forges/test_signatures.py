"""Signatures of deliveries."""

from datetime import UTC, datetime, timedelta

import pytest

from environments.providers.channels.signing import signature_headers
from environments.providers.forges.kinds import KINDS
from environments.service.webhook_kinds import Delivered
from tests.support.webhook_payloads import signatures

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BODY = b'{"a": 1}'
RANDOM, OTHER = bytes(range(32)), bytes(range(1, 33))


def delivered(headers: dict[str, str], body: bytes = BODY, at: datetime = NOW) -> Delivered:
    return Delivered({name.lower(): value for name, value in headers.items()}, body, at)


def signed(kind: str, secret: str, body: bytes = BODY) -> dict[str, str]:
    if kind == "generic":
        return signature_headers(secret, "msg-1", int(NOW.timestamp()), body)
    return signatures(kind, secret, body)


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_fits_one_of_the_secrets(kind: str) -> None:
    found = KINDS[kind]
    secret, other = found.new_secret(RANDOM), found.new_secret(OTHER)
    given = delivered(signed(kind, secret))
    assert found.is_signed(given)
    assert found.fits(given, [secret])
    assert found.fits(given, [other, secret])
    assert not found.fits(given, [other])
    assert not found.fits(given, [])


@pytest.mark.parametrize("kind", [name for name, found in KINDS.items() if found.signs])
def test_another_body_does_not_fit(kind: str) -> None:
    secret = KINDS[kind].new_secret(RANDOM)
    assert not KINDS[kind].fits(delivered(signed(kind, secret), BODY + b" "), [secret])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", ["", "sha256=", "sha1=00", "v1,", "x" * 100_000, "é", "sha256=" + "0" * 64])
def test_anything_else_does_not_fit(kind: str, value: str) -> None:
    secret = KINDS[kind].new_secret(RANDOM)
    headers = dict.fromkeys(signed(kind, secret), value)
    assert not KINDS[kind].fits(delivered(headers), [secret])
    assert not KINDS[kind].is_signed(delivered({}))
    assert not KINDS[kind].fits(delivered({}), [secret])


def test_an_empty_secret_signs_nothing_at_gitlab() -> None:
    assert not KINDS["gitlab"].fits(delivered({"X-Gitlab-Token": ""}), ["secret"])


@pytest.mark.parametrize(("apart", "good"), [(0, True), (299, True), (-299, True), (301, False), (-301, False)])
def test_a_signed_timestamp_is_of_now(apart: int, good: bool) -> None:
    secret = KINDS["generic"].new_secret(RANDOM)
    given = delivered(signed("generic", secret), at=NOW + timedelta(seconds=apart))
    assert KINDS["generic"].fits(given, [secret])
    assert KINDS["generic"].is_of_now(given) == good


@pytest.mark.parametrize("timestamp", ["", "-1", "1e9", "٣", "9" * 13, "9" * 5000])
def test_a_timestamp_is_a_number(timestamp: str) -> None:
    assert not KINDS["generic"].is_of_now(delivered({"webhook-timestamp": timestamp}))
