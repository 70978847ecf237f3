"""Every page for everybody: WCAG 2.2 AA as far as axe-core finds it, both themes, narrow screens, and the keyboard."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright

from environments.ui.app import PAGES
from images.assets import SERVED, TESTS, ensure_assets
from tests.support.browser import Visitor, browser, driver
from tests.support.in_process.client import InProcessClient
from tests.support.tui_event_scenes import put_events, put_previews
from tests.support.tui_time_scenes import put_channels, put_hold, put_policies
from tests.support.ui_harness import NO_PAGES, served_page, signed_in

NAMED = {"name": "checkout-fix", "id": "evt-closed"}
"""What stands for the parts of a path; a page of something else than these isn't found, and that page counts too."""

PATHS = sorted(
    {re.sub(r"\{(\w+)\}", lambda part: NAMED.get(part[1], "x"), path) for way, path, _ in PAGES if way == "GET"}
)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with driver() as started:
        yield started


@pytest.fixture
def chromium(playwright: Playwright) -> Iterator[Browser]:
    with browser(playwright) as running:
        yield running


@pytest.fixture
def address(client: InProcessClient, tmp_path: Path) -> Iterator[str]:
    for put in (put_events, put_previews, put_channels, put_policies):
        put(client)
    put_hold(client)
    with served_page(client, tmp_path, ensure_assets(lambda line: None) / SERVED) as found:
        yield found


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 360)])
def test_axe_finds_nothing_on_any_page(
    address: str, chromium: Browser, client: InProcessClient, theme: str, width: int
) -> None:
    axe = (ensure_assets(lambda line: None) / TESTS / "axe.min.js").read_text(encoding="utf-8")
    visitor = Visitor(chromium, color_scheme=theme, viewport={"width": width, "height": 800}, reduced_motion="reduce")
    signed_in(visitor, client, address)
    faults = []
    for path in PATHS:
        if path.endswith(NO_PAGES):
            continue
        visitor.page.goto(address + path)
        visitor.page.evaluate(axe)
        found = visitor.page.evaluate("tags => axe.run({runOnly: {type: 'tag', values: tags}})", RULES)
        faults += [(path, one["id"], [node["html"][:150] for node in one["nodes"][:2]]) for one in found["violations"]]
        if overflows(visitor.page):
            faults.append((path, "wider than the screen", []))
    visitor.close()
    assert not faults
    assert not visitor.complaints


def overflows(page: Page) -> bool:
    """Whether one has to scroll sideways to read the page (WCAG 2.2, 1.4.10)."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def test_one_reaches_the_content_and_an_environment_by_the_keyboard_alone(
    address: str, chromium: Browser, client: InProcessClient
) -> None:
    visitor = Visitor(chromium)
    signed_in(visitor, client, address)
    visitor.page.goto(address + "/")
    visitor.page.keyboard.press("Tab")
    assert visitor.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    visitor.page.keyboard.press("Enter")
    assert visitor.page.url.endswith("#content")
    for _ in range(60):
        visitor.page.keyboard.press("Tab")
        if "/environments/" in (visitor.page.evaluate("document.activeElement.getAttribute('href') || ''")):
            break
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url(re.compile(r"/environments/"))
    visitor.close()


def test_pages_can_be_read_without_scripts(address: str, chromium: Browser, client: InProcessClient) -> None:
    visitor = Visitor(chromium, java_script_enabled=False)
    signed_in(visitor, client, address)
    visitor.page.goto(address + "/")
    assert visitor.page.get_by_role("link", name="checkout-fix").count() >= 1
    visitor.page.get_by_role("link", name="checkout-fix").first.click()
    assert visitor.page.get_by_role("heading", level=1).inner_text().startswith("checkout-fix")
    visitor.close()
