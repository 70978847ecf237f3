"""Signing in with a browser of this machine."""

import base64
import threading
from collections.abc import Iterator
from hashlib import sha256
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from environments.client.loopback import Attempt, SignedIn
from environments.domain.errors import ServiceUnavailable, SignInRefused
from tests.support.token_endpoint import TokenEndpoint


@pytest.fixture
def provider() -> Iterator[TokenEndpoint]:
    made = TokenEndpoint()
    yield made
    made.close()


@pytest.fixture
def attempt(provider: TokenEndpoint) -> Iterator[Attempt]:
    made = Attempt(provider.endpoints)
    yield made
    made.close()


def asked(attempt: Attempt) -> dict[str, str]:
    """What the browser tells the provider."""
    return {name: values[0] for name, values in parse_qs(urlsplit(attempt.address).query).items()}


def browse(attempt: Attempt, *visits: dict[str, str], host: str | None = None) -> list[int]:
    """Sends a browser back in a thread, one visit after the other; the statuses are there once it is done."""
    statuses: list[int] = []

    def go() -> None:
        headers = {} if host is None else {"Host": host}
        for visit in visits:
            answer = httpx2.get(f"{attempt.redirect}?{urlencode(visit)}", headers=headers, trust_env=False, timeout=20)
            statuses.append(answer.status_code)

    threading.Thread(target=go, daemon=True).start()
    return statuses


def test_a_code_is_redeemed_with_the_verifier_of_this_attempt(provider: TokenEndpoint, attempt: Attempt) -> None:
    query = asked(attempt)
    assert query["tenant"] == "1"
    assert (query["client_id"], query["scope"], query["response_type"]) == ("programs", "openid groups", "code")
    assert query["redirect_uri"] == attempt.redirect
    browse(attempt, {"code": "c-1", "state": query["state"], "iss": "https://id.example.net"})
    found = attempt.wait(True, 30)
    assert found == SignedIn("a.b.c", query["nonce"])
    (form,) = provider.asked
    assert (form["code"], form["client_id"], form["redirect_uri"]) == ("c-1", "programs", attempt.redirect)
    challenge = base64.urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
    assert (query["code_challenge"], query["code_challenge_method"]) == (challenge, "S256")


def test_what_is_of_another_attempt_is_not_heard(provider: TokenEndpoint, attempt: Attempt) -> None:
    other = Attempt(provider.endpoints)
    try:
        assert asked(other)["state"] != asked(attempt)["state"]
        theirs = {"code": "theirs", "state": asked(other)["state"]}
        statuses = browse(attempt, theirs, {"code": "none"}, {"code": "c-1", "state": asked(attempt)["state"]})
        attempt.wait(True, 30)
        assert statuses[:2] == [404, 404]
        assert [form["code"] for form in provider.asked] == ["c-1"]
    finally:
        other.close()


def test_a_page_that_reaches_the_port_by_another_name_is_not_heard(attempt: Attempt) -> None:
    browse(attempt, {"code": "c-1", "state": asked(attempt)["state"]}, host="attacker.example:80")
    with pytest.raises(SignInRefused, match="Nobody has signed in"):
        attempt.wait(True, 2)


@pytest.mark.parametrize(
    ("came", "told"),
    [
        ({"error": "access_denied", "error_description": "Not you"}, "access_denied Not you"),
        ({"code": "c-1", "iss": "https://other.example.net"}, "another provider"),
        ({"session": "1"}, "no code"),
    ],
)
def test_what_comes_back_is_checked(attempt: Attempt, came: dict[str, str], told: str) -> None:
    browse(attempt, {**came, "state": asked(attempt)["state"]})
    with pytest.raises(SignInRefused, match=told):
        attempt.wait(True, 30)


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (400, b'{"error": "invalid_grant", "error_description": "The code was used."}', "The code was used."),
        (200, b"{}", "no identity token"),
        (200, b"[1]", "no identity token"),
        (200, b"\xff", "no identity token"),
        (302, b"", "HTTP 302"),
        (200, b" " * (300 * 1024), "too large"),
    ],
)
def test_answers_of_the_provider_are_checked(
    provider: TokenEndpoint, attempt: Attempt, status: int, body: bytes, told: str
) -> None:
    provider.status, provider.body = status, body
    browse(attempt, {"code": "c-1", "state": asked(attempt)["state"]})
    with pytest.raises(SignInRefused, match=told):
        attempt.wait(True, 30)


def test_a_provider_that_is_away_is_told(provider: TokenEndpoint, attempt: Attempt) -> None:
    provider.close()
    browse(attempt, {"code": "c-1", "state": asked(attempt)["state"]})
    with pytest.raises(ServiceUnavailable, match="can't be reached"):
        attempt.wait(True, 30)
