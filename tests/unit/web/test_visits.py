"""What pages take from requests: where they lead back to, forms, cookies, and attempts to sign in."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from starlette.datastructures import Headers

from environments.domain.errors import Forbidden, InvalidInput
from environments.pages.origins import from_here
from environments.pages.requests import cookies, fields, is_secure, own_path, set_cookie
from environments.service.authorization import Principal
from environments.web.attempts import MOST, SECONDS, Attempts, name_of, new_attempt
from environments.web.forms import FIELD, Forms
from environments.web.visits import Visit

ORIGIN = "https://calvinverse.example.net"
NOW = datetime(2026, 11, 27, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize("path", ["/", "/device?code=WDJB-MJHT", "/claims?person=ada&x=%2F%2Fother"])
def test_paths_of_our_own_are_gone_back_to(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example.net/",
        "//evil.example.net",
        "/\\evil.example.net",
        "\\\\evil.example.net",
        "/\t/evil.example.net",
        "/\n/evil.example.net",
        "javascript:alert(1)",
        "evil.example.net",
        "",
        " /",
        "/" + "a" * 2000,
        "/é",
    ],
)
def test_nothing_leads_to_another_site(elsewhere: str) -> None:
    assert own_path(elsewhere) == "/"


@pytest.mark.parametrize("origin", ["http://[x", "https://calvinverse.example.net]", "null", ""])
def test_an_origin_that_is_none_is_not_ours(origin: str) -> None:
    assert not from_here(Headers({"Origin": origin, "Host": "calvinverse.example.net"}), ORIGIN)


def test_a_field_counts_once() -> None:
    assert fields("a=1&b=") == {"a": "1", "b": ""}
    for text in ("a=1&a=2", "a=%00", "a=%ff", "&".join(f"x{number}=1" for number in range(60)), "a" * 20_000):
        with pytest.raises(InvalidInput):
            fields(text)


def test_the_first_of_two_cookies_of_a_name_counts() -> None:
    headers = Headers(raw=[(b"cookie", b"a=1; b=2"), (b"cookie", b"a=3")])
    assert cookies(headers) == {"a": "1", "b": "2"}


def test_cookies_are_kept_from_scripts_other_sites_and_plain_http() -> None:
    said = set_cookie("__Host-calvinverse", "cv_x", 60)
    assert said.startswith("__Host-calvinverse=cv_x")
    for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=60"):
        assert part in said
    assert "Domain" not in said
    with pytest.raises(InvalidInput):
        set_cookie("a b", "x", 1)


@pytest.mark.parametrize(
    ("origin", "secure"),
    [
        (ORIGIN, True),
        ("http://127.0.0.1:8400", True),
        ("http://localhost:8400", True),
        ("http://10.0.0.7:8400", False),
        ("http://calvinverse.example.net", False),
    ],
)
def test_where_browsers_keep_the_session(origin: str, secure: bool) -> None:
    assert is_secure(origin) is secure


def _visit(
    headers: Mapping[str, str], principal: Principal | None = None, form: Mapping[str, str] | None = None
) -> Visit:
    raw = {"host": "calvinverse.example.net", **headers}
    return Visit("POST", "/sign-out", "", {}, form or {}, {}, Headers(raw), "127.0.0.1", ORIGIN, principal)


ADA = Principal("ada", "user", "tok-a", kind="session")
FORMS = Forms(lambda: b"k" * 32)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": ORIGIN},
        {"sec-fetch-site": "same-origin"},
        {"origin": ORIGIN, "sec-fetch-site": "same-origin"},
        {"origin": "https://CALVINVERSE.example.net"},
    ],
)
def test_forms_of_our_own_pages_are_taken(headers: dict[str, str]) -> None:
    FORMS.check_origin(_visit(headers))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "https://evil.example.net"},
        {"origin": "https://calvinverse.example.net.evil.example.net"},
        {"origin": ORIGIN, "sec-fetch-site": "cross-site"},
        {"origin": ORIGIN, "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
def test_forms_of_other_sites_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Forbidden):
        FORMS.check_origin(_visit(headers))


def test_a_form_belongs_to_one_session() -> None:
    token = FORMS.token(_visit({}, ADA))
    FORMS.check(_visit({"origin": ORIGIN}, ADA, {FIELD: token}))
    for form in ({}, {FIELD: ""}, {FIELD: FORMS.token(_visit({}, Principal("ada", "user", "tok-b")))}, {FIELD: "é"}):
        with pytest.raises(Forbidden):
            FORMS.check(_visit({"origin": ORIGIN}, ADA, form))


class _Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def test_an_attempt_is_found_by_its_state_alone() -> None:
    attempts = Attempts(lambda: b"k" * 32, lambda: NOW)
    one, other = new_attempt("corp", "/device"), new_attempt("corp", "/")
    jar = dict([attempts.seal(one), attempts.seal(other)])
    assert attempts.open(one.state, jar) == one
    assert attempts.open(other.state, jar) == other
    assert attempts.open("", jar) is None
    assert attempts.open("unknown", jar) is None
    assert attempts.open(one.state, {}) is None
    swapped = {name_of(one.state): jar[name_of(other.state)]}
    assert attempts.open(one.state, swapped) is None


def test_an_attempt_ends_and_can_not_be_forged() -> None:
    clock = _Clock()
    attempt = new_attempt("corp", "/")
    name, value = Attempts(lambda: b"k" * 32, clock).seal(attempt)
    foreign = Attempts(lambda: b"x" * 32, clock)
    assert foreign.open(attempt.state, {name: value}) is None
    assert attempt.state not in value
    assert attempt.nonce not in value
    clock.now += timedelta(seconds=SECONDS + 1)
    assert Attempts(lambda: b"k" * 32, clock).open(attempt.state, {name: value}) is None


def test_old_attempts_make_room() -> None:
    clock = _Clock()
    attempts = Attempts(lambda: b"k" * 32, clock)
    jar: dict[str, str] = {"other": "x"}
    names = []
    for _ in range(MOST + 2):
        name, value = attempts.seal(new_attempt("corp", "/"))
        jar[name] = value
        names.append(name)
        clock.now += timedelta(seconds=1)
    jar["__Host-signin-damaged"] = "?"
    assert attempts.too_many(jar) == ["__Host-signin-damaged", *names[:3]]
