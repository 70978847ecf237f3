"""Sessions, devices and claims on the pages, in a real browser."""

import re
from collections.abc import Callable, Iterator
from hashlib import sha256

import httpx2
import pytest
from playwright.sync_api import expect

from environments.domain.claim_rules import RoleRule
from tests.component.web.conftest import Site, sign_in
from tests.support.browser import Visitor

Visit = Callable[..., Visitor]


def heading(visitor: Visitor) -> str:
    return visitor.page.get_by_role("heading", level=1).inner_text()


@pytest.fixture
def http(site: Site) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=site.address, verify=False, trust_env=False, timeout=60) as client:
        yield client


def test_a_session_is_ended_from_another_browser(site: Site, ada: Visitor, visitor: Visit) -> None:
    other = visitor()
    sign_in(other, site)
    ada.page.goto(site.address + "/sessions")
    assert ada.page.get_by_role("listitem").filter(has_text="browser").count() == 2
    ada.page.get_by_role("listitem").filter(has_not_text="this browser").get_by_role("button", name="End").click()
    assert "The session has ended." in ada.page.content()
    other.page.reload()
    assert heading(other) == "Sign in"
    ada.page.get_by_role("button", name="Sign out everywhere").click()
    assert heading(ada) == "Sign in"
    assert "Your session has ended" in ada.page.content()


def test_a_machine_without_a_browser_is_approved(site: Site, visitor: Visit, http: httpx2.Client) -> None:
    asked = http.post("/v1/auth/device", json={"machine": "build-7"}).json()
    wait = http.post("/v1/auth/device/token", json={"device_code": asked["device_code"]})
    assert (wait.status_code, wait.json()["error"]) == (400, "authorization_pending")
    assert wait.json()["code"] == "authorization_pending"
    browser = visitor()
    assert asked["verification_uri_complete"] == f"{site.address}/device?code={asked['user_code']}"
    sign_in(browser, site, asked["verification_uri_complete"].removeprefix(site.address))
    assert browser.page.get_by_label("Code").input_value() == asked["user_code"]
    browser.page.get_by_role("button", name="Continue").click()
    assert heading(browser) == "Sign build-7 in as ada?"
    assert asked["user_code"] in browser.page.content()
    browser.page.get_by_role("button", name="Approve").click()
    assert heading(browser) == "build-7 will be signed in"
    with site.service.database.write() as tx:  # as if the machine had waited
        grant = tx.sign_ins.grant_by_user(sha256(asked["user_code"].replace("-", "").encode()).hexdigest())
        assert grant is not None
        tx.sign_ins.change_grant(grant.id, polled_at=None)
    made = http.post("/v1/auth/device/token", json={"device_code": asked["device_code"]}).json()
    assert (made["token_type"], made["user_name"]) == ("Bearer", "ada")
    headers = {"Authorization": f"Bearer {made['access_token']}"}
    assert http.get("/v1/auth/whoami", headers=headers).json()["user_name"] == "ada"
    browser.page.goto(site.address + "/sessions")
    assert "device build-7" in browser.page.content()


def test_a_machine_is_denied_and_a_wrong_code_is_told_at_its_field(
    site: Site, ada: Visitor, http: httpx2.Client
) -> None:
    asked = http.post("/v1/auth/device", json={"machine": "build-8"}).json()
    ada.page.goto(site.address + "/device")
    ada.page.get_by_label("Code").fill("BBBB-BBBB")
    ada.page.keyboard.press("Enter")
    expect(ada.page).to_have_title(re.compile("^Error: Approve a device"))
    field = ada.page.get_by_label("Code")
    assert field.get_attribute("aria-invalid") == "true"
    assert "fault" in (field.get_attribute("aria-describedby") or "")
    field.fill(asked["user_code"].lower())
    ada.page.keyboard.press("Enter")
    ada.page.get_by_role("button", name="Deny").click()
    assert heading(ada) == "build-8 won't be signed in"
    denied = http.post("/v1/auth/device/token", json={"device_code": asked["device_code"]})
    assert denied.json()["error"] == "access_denied"


def test_claims_are_shown_with_the_rules_that_matched(site: Site, visitor: Visit) -> None:
    site.provider.rules = [RoleRule(claim="groups", value="ops", role="admin")]
    site.identity.claims |= {"groups": ["ops", "staff"]}
    root, ada = visitor(), visitor()
    sign_in(root, site, "/claims")
    assert heading(root) == "Claims of ada"
    assert root.page.get_by_role("row").filter(has_text="groups has `ops`: admin").get_by_text("yes").is_visible()
    site.identity.subject, site.identity.claims = "s-2", {"preferred_username": "grace", "groups": []}
    sign_in(ada, site, "/claims?person=ada")
    assert "Only an admin can see the claims of others" in ada.page.content()
    root.page.get_by_label("User name").fill("grace")
    root.page.get_by_role("button", name="Show").click()
    assert heading(root) == "Claims of grace"


def test_a_trial_shows_what_comes_now_and_changes_nothing(site: Site, ada: Visitor) -> None:
    ada.page.goto(site.address + "/claims")
    site.identity.claims["groups"] = ["ops"]
    ada.page.get_by_role("button", name="Try with Example Corp").click()
    ada.page.wait_for_url("**/sign-in/callback?*")
    assert heading(ada) == "What corp says now"
    assert "nothing has changed" in ada.page.content()
    with site.service.database.read() as tx:
        assert tx.groups.of("ada") == []
    ada.page.goto(site.address)
    assert heading(ada) == "Ada Lovelace"


def test_what_a_provider_says_is_shown_as_text(site: Site, visitor: Visit) -> None:
    site.identity.claims = {"preferred_username": "ada", "name": "<img src=x onerror=alert(1)>"}
    browser = visitor()
    sign_in(browser, site)
    assert heading(browser) == "<img src=x onerror=alert(1)>"
    browser.page.goto(site.address + "/claims")
    assert browser.page.locator("img").count() == 0
    assert browser.complaints == []


@pytest.mark.parametrize("path", ["/account", "/sessions", "/device", "/claims", "/sign-in"])
@pytest.mark.parametrize("width", [360, 640])
def test_pages_fit_on_small_screens(site: Site, ada: Visitor, path: str, width: int) -> None:
    """360 CSS pixels, and 1280 at a zoom of 200 %: nothing is cut off, and nothing scrolls sideways (WCAG 1.4.10)."""
    ada.page.set_viewport_size({"width": width, "height": 800})
    ada.page.goto(site.address + path)
    assert ada.page.evaluate("document.documentElement.scrollWidth") <= width


def test_everything_is_reached_by_keyboard_and_the_focus_is_seen(site: Site, ada: Visitor) -> None:
    ada.page.goto(site.address + "/sessions")
    seen: list[str] = []
    for _ in range(10):
        ada.page.keyboard.press("Tab")
        focused = ada.page.evaluate(
            "() => { const e = document.activeElement; const s = getComputedStyle(e);"
            " return [e.textContent.trim(), s.outlineStyle, parseFloat(s.outlineWidth)]; }"
        )
        seen.append(focused[0])
        if focused[0] and "\n" not in focused[0]:
            assert (focused[1], focused[2] >= 2) == ("solid", True), focused
    for words in (
        "Skip to the content",
        "Environments",
        "You",
        "Sessions",
        "Approve a device",
        "Claims",
        "End it",
        "Sign out everywhere",
    ):
        assert words in seen


def test_without_the_web_page_the_front_page_is_the_account(site: Site, ada: Visitor) -> None:
    ada.page.goto(site.address)
    assert ada.page.url == f"{site.address}/account"
    assert ada.page.get_by_role("link", name="You", exact=True).get_attribute("aria-current") == "page"
