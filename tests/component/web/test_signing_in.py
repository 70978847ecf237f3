"""Signing in and out by the pages, in a real browser, by a provider on another site."""

from collections.abc import Callable
from datetime import UTC, datetime

import httpx2
import pytest
from playwright.sync_api import expect

from environments.domain.errors import BackendUnavailable
from tests.component.web.conftest import Site, sign_in
from tests.fakes.service import listening
from tests.support.browser import Visitor

Visit = Callable[..., Visitor]
SESSION = "__Host-calvinverse"


def cookies(visitor: Visitor) -> dict[str, str]:
    return {cookie["name"]: cookie["value"] for cookie in visitor.context.cookies()}


def heading(visitor: Visitor) -> str:
    return visitor.page.get_by_role("heading", level=1).inner_text()


def test_in_and_out_again(site: Site, visitor: Visit) -> None:
    """Over redirects of the provider to an origin that the pages don't know, and back to what was asked for."""
    browser = visitor()
    sign_in(browser, site, "/sessions")
    assert browser.page.url == f"{site.address}/sessions"
    assert list(cookies(browser)) == [SESSION]
    browser.page.get_by_role("link", name="You", exact=True).click()
    assert heading(browser) == "Ada Lovelace"
    secret = cookies(browser)[SESSION]
    browser.page.get_by_role("button", name="Sign out").click()
    assert heading(browser) == "You are signed out"
    expect(browser.page.get_by_text("Your provider may still know you")).to_be_visible()
    assert cookies(browser) == {}
    browser.page.goto(site.address)
    assert heading(browser) == "Sign in"
    with httpx2.Client(base_url=site.address, verify=False, trust_env=False, timeout=60) as http:
        answer = http.get("/v1/auth/whoami", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 401
    assert browser.complaints == []


def test_the_provider_gets_a_challenge_and_never_the_verifier(site: Site, visitor: Visit) -> None:
    sign_in(visitor(), site)
    [asked] = site.identity.asked
    assert set(asked) == {"redirect_uri", "state", "nonce", "challenge"}
    assert asked["redirect_uri"] == f"{site.address}/sign-in/callback"


def test_each_sign_in_is_a_new_session_and_ends_the_one_before(site: Site, ada: Visitor) -> None:
    before = cookies(ada)[SESSION]
    sign_in(ada, site, "/sign-in")
    assert cookies(ada)[SESSION] != before
    assert ada.page.get_by_role("heading", name="Ada Lovelace").is_visible()
    principal = site.service.tokens.authenticate(cookies(ada)[SESSION])
    assert len(site.service.sessions.all(principal)) == 1


def test_attempts_in_two_tabs_do_not_disturb_one_another(site: Site, visitor: Visit) -> None:
    browser = visitor()
    site.identity.waits = True
    tabs = [browser.page, browser.open()]
    for tab, path in zip(tabs, ("/sessions", "/device"), strict=True):
        tab.goto(site.address + path)
        tab.get_by_role("button", name="Sign in with Example Corp").click()
        tab.wait_for_url("**/login?*")
    assert len(cookies(browser)) == 2
    for tab, path, asked in zip(tabs, ("/sessions", "/device"), site.identity.asked, strict=True):
        tab.goto(site.identity.answer(asked))
        assert tab.url == site.address + path


def test_a_replayed_answer_signs_nobody_in(site: Site, ada: Visitor) -> None:
    ada.page.goto(site.identity.answers[0])
    assert heading(ada) == "You can't sign in"
    ada.page.goto(site.address)
    assert heading(ada) == "Ada Lovelace"


def test_an_answer_counts_in_the_browser_that_began_alone(site: Site, visitor: Visit) -> None:
    """An attacker's code, sent to somebody else, doesn't sign them in as the attacker."""
    attacker, victim = visitor(), visitor()
    site.identity.waits = True
    attacker.page.goto(site.address + "/sign-in")
    attacker.page.get_by_role("button", name="Sign in with Example Corp").click()
    attacker.page.wait_for_url("**/login?*")
    answer = site.identity.answer(site.identity.asked[0])
    victim.page.goto(answer)
    assert heading(victim) == "You can't sign in"
    assert cookies(victim) == {}


def test_a_swapped_state_is_refused(site: Site, visitor: Visit) -> None:
    """The code of one attempt with the state of another one of the same browser: verifier and nonce don't fit."""
    browser = visitor()
    site.identity.waits = True
    for tab in (browser.page, browser.open()):
        tab.goto(site.address + "/sign-in")
        tab.get_by_role("button", name="Sign in with Example Corp").click()
        tab.wait_for_url("**/login?*")
    first, second = site.identity.asked
    swapped = site.identity.answer(first).replace(first["state"], second["state"])
    browser.page.goto(swapped)
    assert heading(browser) == "You can't sign in"
    assert SESSION not in cookies(browser)


def test_an_answer_of_another_issuer_is_refused(site: Site, visitor: Visit) -> None:
    browser = visitor()
    site.identity.waits = True
    browser.page.goto(site.address + "/sign-in")
    browser.page.get_by_role("button", name="Sign in with Example Corp").click()
    browser.page.wait_for_url("**/login?*")
    browser.page.goto(site.identity.answer(site.identity.asked[0]) + "&iss=https%3A%2F%2Fother.example.net")
    assert heading(browser) == "You can't sign in"


def test_a_provider_that_refuses(site: Site, visitor: Visit) -> None:
    site.identity.subject = None
    browser = visitor()
    sign_in(browser, site)
    assert heading(browser) == "You can't sign in"
    expect(browser.page.get_by_role("link", name="To the page for signing in")).to_be_visible()


def test_a_provider_that_is_away(site: Site, visitor: Visit) -> None:
    browser = visitor()
    browser.page.goto(site.address + "/sign-in")
    site.provider.away = BackendUnavailable("The identity provider corp doesn't answer.")
    browser.page.get_by_role("button", name="Sign in with Example Corp").click()
    assert heading(browser) == "The identity provider is away"
    assert "local admin token" in browser.page.content()


def test_a_disabled_person_is_refused_and_their_session_ends(site: Site, ada: Visitor, visitor: Visit) -> None:
    with site.service.database.write() as tx:
        tx.people.change("ada", disabled_at=datetime.now(UTC), disabled_by="root")
    ada.page.goto(site.address + "/sessions")
    assert heading(ada) == "Sign in"
    assert cookies(ada) == {}
    other = visitor()
    sign_in(other, site)
    assert heading(other) == "You can't sign in"
    assert "ada is disabled" in other.page.content()


@pytest.mark.parametrize("elsewhere", ["https://evil.example.net/", "//evil.example.net/", "/%5Cevil.example.net"])
def test_nobody_is_led_to_another_site(site: Site, visitor: Visit, elsewhere: str) -> None:
    browser = visitor()
    sign_in(browser, site, f"/sign-in?next={elsewhere}")
    assert browser.page.url == f"{site.address}/account"


def test_another_site_can_not_send_forms(site: Site, ada: Visitor) -> None:
    """A page of the provider's site posts to ours, with ada's browser."""
    site.identity.waits = True
    ada.page.goto(f"http://localhost:{site.identity.port}/login")
    ada.page.evaluate(
        """address => {
            const form = document.createElement("form");
            form.method = "post"; form.action = address;
            document.body.append(form); form.submit();
        }""",
        f"{site.address}/sign-out",
    )
    ada.page.wait_for_url(f"{site.address}/sign-out")
    assert heading(ada) == "You may not do that"
    ada.page.goto(site.address)
    assert heading(ada) == "Ada Lovelace"


def test_the_cookie_opens_pages_and_not_the_api(site: Site, ada: Visitor) -> None:
    answer = ada.context.request.get(f"{site.address}/v1/auth/whoami")
    assert answer.status == 401


def test_on_loopback_without_tls(site: Site, visitor: Visit) -> None:
    """Chromium takes loopback for safe, and keeps `__Host-` cookies there."""
    browser = visitor()
    with listening(site.service) as plain:
        browser.page.goto(plain)
        browser.page.get_by_role("button", name="Sign in with Example Corp").click()
        browser.page.wait_for_url(f"{plain}/account")
        assert heading(browser) == "Ada Lovelace"


def test_pages_are_never_kept_and_run_no_script(site: Site, ada: Visitor) -> None:
    for path in ("/account", "/sessions", "/device", "/claims", "/sign-in", "/nope-is-the-apis"):
        answer = ada.page.goto(site.address + path)
        assert answer is not None
        if path == "/nope-is-the-apis":
            assert answer.status == 401
            continue
        headers = answer.headers
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"] == (
            "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        assert headers["referrer-policy"] == "same-origin"
        assert ada.page.locator("script, [style], [onclick]").count() == 0
    assert ada.complaints == []
