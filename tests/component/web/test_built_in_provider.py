"""The built-in provider's own page, in a real browser; OpenBao is in memory."""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Route, expect

from environments.domain.errors import SignInRefused
from environments.providers.openbao_people.page import OpenBaoAuthorizationPage
from environments.providers.openbao_people.people import OpenBaoLocalPeople
from environments.service.built_in_provider import AUTHORIZE_PATH
from environments.service.sign_in_ports import Claims
from tests.component.web.conftest import Site
from tests.fakes.backends.openbao_people import MemoryPeopleCalls
from tests.fakes.identity import MemoryProvider
from tests.support.browser import Visitor

Visit = Callable[..., Visitor]
CHOSEN = "four words of my own"


def _now() -> datetime:
    return datetime.now(UTC)


def _asked(redirect: str, client: str, verifier: str, **more: str) -> dict[str, str]:
    challenge = base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return {
        "response_type": "code",
        "client_id": client,
        "redirect_uri": redirect,
        "scope": "openid profile email groups",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **more,
    }


class BuiltInProvider(MemoryProvider):
    """Sends browsers to the page of ours, and takes the codes that it gives out."""

    def __init__(self, calls: MemoryPeopleCalls, address: str) -> None:
        super().__init__("openbao", "Calvinverse")
        self._calls = calls
        self._address = address

    def authorization_address(self, *, redirect: str, state: str, nonce: str, verifier: str) -> str:
        asked = _asked(redirect, self._calls.web_client().id, verifier, state=state, nonce=nonce)
        return f"{self._address}{AUTHORIZE_PATH}?{urlencode(asked)}"

    def redeem(self, code: str, *, redirect: str, verifier: str, nonce: str) -> Claims:
        request = self._calls.codes.pop(code, None)
        if request is None or request["nonce"] != nonce or request["redirect_uri"] != redirect:
            raise SignInRefused("The provider doesn't accept the code.")
        return self._claims({"sub": "e-1", "preferred_username": "ada", "name": "Ada Lovelace"}, code)


@dataclass
class BuiltIn:
    calls: MemoryPeopleCalls
    people: OpenBaoLocalPeople
    once: str
    """ada's password for one time."""


@pytest.fixture
def built_in(site: Site) -> BuiltIn:
    calls = MemoryPeopleCalls(site.address)
    people = OpenBaoLocalPeople(calls, site.address, _now)
    site.service.authorization_page = OpenBaoAuthorizationPage(calls, people, _now)
    site.service.identity.providers[:] = [BuiltInProvider(calls, site.address)]
    once = people.create("ada", display_name="Ada Lovelace", email="", groups=())
    return BuiltIn(calls, people, once.password)


def begin(browser: Visitor, site: Site) -> None:
    browser.page.goto(site.address)
    browser.page.get_by_role("button", name="Sign in with Calvinverse").click()
    expect(browser.page.get_by_role("heading", name="Sign in to Calvinverse")).to_be_visible()


def give(browser: Visitor, name: str, password: str) -> None:
    browser.page.get_by_label("User name").fill(name)
    browser.page.get_by_label("Password", exact=True).fill(password)
    browser.page.get_by_role("button", name="Sign in").click()


def change(browser: Visitor, present: str, new: str, repeated: str) -> None:
    browser.page.get_by_label("Present password").fill(present)
    browser.page.get_by_label("New password", exact=True).fill(new)
    browser.page.get_by_label("New password again").fill(repeated)
    browser.page.get_by_role("button", name="Change it and sign in").click()


def test_the_first_password_is_changed_and_the_second_signs_in(site: Site, built_in: BuiltIn, visitor: Visit) -> None:
    browser = visitor()
    begin(browser, site)
    give(browser, "ada", built_in.once)
    expect(browser.page.get_by_role("heading", name="Choose a new password")).to_be_visible()
    change(browser, built_in.once, CHOSEN, CHOSEN + "!")
    expect(browser.page.get_by_role("alert")).to_contain_text("differ")
    assert browser.page.get_by_label("New password again").get_attribute("aria-invalid") == "true"
    change(browser, built_in.once, CHOSEN, CHOSEN)
    expect(browser.page.get_by_role("heading", name="Ada Lovelace")).to_be_visible()
    again = visitor()
    begin(again, site)
    give(again, "ada", CHOSEN)
    expect(again.page.get_by_role("heading", name="Ada Lovelace")).to_be_visible()
    assert built_in.calls.tokens == {}
    assert browser.complaints == again.complaints == []


def test_a_wrong_password_is_told_without_saying_what_is_wrong(site: Site, built_in: BuiltIn, visitor: Visit) -> None:
    browser = visitor()
    begin(browser, site)
    told = []
    for name, password in (("ada", "wrong"), ("nobody", "wrong")):
        give(browser, name, password)
        expect(browser.page.get_by_role("alert")).to_be_visible()
        told.append(browser.page.get_by_role("alert").inner_text())
        assert browser.page.get_by_label("Password", exact=True).input_value() == ""
        assert browser.page.get_by_label("Password", exact=True).get_attribute("aria-describedby") == "fault"
    assert told[0] == told[1]
    assert browser.page.title().startswith("Error: ")


def test_a_disabled_person(site: Site, built_in: BuiltIn, visitor: Visit) -> None:
    built_in.people.disable("ada")
    browser = visitor()
    begin(browser, site)
    give(browser, "ada", built_in.once)
    expect(browser.page.get_by_role("alert")).to_contain_text("wrong, or the person can't sign in")


@pytest.mark.parametrize("redirect", ["https://evil.example.net/callback", "http://10.0.0.7:8000/callback"])
def test_a_wrong_redirect_is_shown_and_not_followed(
    site: Site, built_in: BuiltIn, visitor: Visit, redirect: str
) -> None:
    asked = _asked(redirect, built_in.calls.cli_client().id, "v" * 43, state="s", nonce="n")
    browser = visitor()
    answer = browser.page.goto(f"{site.address}{AUTHORIZE_PATH}?{urlencode(asked)}")
    assert answer is not None
    assert answer.status == 400
    expect(browser.page.get_by_role("heading", level=1)).to_have_text("That isn't right")


def test_the_command_line_gets_its_code_on_loopback(site: Site, built_in: BuiltIn, visitor: Visit) -> None:
    """The policy of the page lets the form lead to that port, and to no other."""
    built_in.people.reset("ada")
    redirect = f"http://127.0.0.1:{site.identity.port}/callback"
    asked = _asked(redirect, built_in.calls.cli_client().id, "v" * 43, state="the-state", nonce="n")
    browser = visitor()
    once = built_in.people.reset("ada").password
    answer = browser.page.goto(f"{site.address}{AUTHORIZE_PATH}?{urlencode(asked)}")
    assert answer is not None
    assert f"form-action 'self' http://127.0.0.1:{site.identity.port};" in answer.headers["content-security-policy"]
    give(browser, "ada", once)
    change(browser, once, CHOSEN, CHOSEN)
    browser.page.wait_for_url(re.compile(r"/callback\?code=[0-9a-f]{32}&state=the-state$"))


def test_a_form_of_another_site_gets_no_code(site: Site, built_in: BuiltIn, visitor: Visit) -> None:
    """Signing somebody in as somebody else, by a form on a page of the attacker's."""
    asked = _asked(f"{site.address}/sign-in/callback", built_in.calls.web_client().id, "v" * 43, state="s", nonce="n")
    action = f"{site.address}{AUTHORIZE_PATH}?{urlencode(asked)}".replace("&", "&amp;")
    form = (
        f'<form method="post" action="{action}"><input name="user_name" value="ada">'
        f'<input name="password" value="{built_in.once}"><button>Win</button></form>'
    )

    def evil(route: Route) -> None:
        route.fulfill(content_type="text/html", body=form)

    browser = visitor()
    browser.page.route("http://evil.example.net/", evil)
    browser.page.goto("http://evil.example.net/")
    browser.page.get_by_role("button", name="Win").click()
    expect(browser.page.get_by_role("heading", level=1)).to_have_text("You may not do that")
    assert built_in.calls.codes == {}


def test_without_a_built_in_provider_there_is_no_page(site: Site, visitor: Visit) -> None:
    browser = visitor()
    answer = browser.page.goto(site.address + AUTHORIZE_PATH)
    assert answer is not None
    assert answer.status == 404
