"""The overview in Chromium: filters keep the focus, rows change by themselves, and nothing chosen is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from environments.domain.lifecycle import State
from environments.wire.environments import ExtendRequest
from images.assets import SERVED, ensure_assets
from tests.support.browser import LIMIT, Visitor, browser, driver
from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import served_page, signed_in
from tests.support.views import environment_view

expect.set_options(timeout=LIMIT * 1000)

ROW = "#environments tr:has-text('checkout-fix')"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with driver() as playwright, browser(playwright) as running:
        yield running


@pytest.fixture
def visitor(client: InProcessClient, chromium: Browser, tmp_path: Path) -> Iterator[Visitor]:
    """Somebody who looks at the overview."""
    with served_page(client, tmp_path, ensure_assets(lambda line: None) / SERVED) as address:
        visitor = Visitor(chromium)
        signed_in(visitor, client, address)
        visitor.page.goto(f"{address}/")
        yield visitor
        visitor.close()


def test_a_change_is_shown_and_what_was_chosen_stays_so(visitor: Visitor, client: InProcessClient) -> None:
    page = visitor.page
    box = page.get_by_label("Choose checkout-fix")
    box.check()
    box.focus()
    client.extend("checkout-fix", ExtendRequest(ttl="1830m"))
    expect(page.locator(ROW)).to_contain_text("1d6h")  # also what changed before the stream was open
    expect(box).to_be_checked()
    expect(box).to_be_focused()
    assert not visitor.complaints


def test_typing_filters_keeps_the_focus_and_changes_the_address(visitor: Visitor, client: InProcessClient) -> None:
    page = visitor.page
    page.locator("#q").press_sequentially("checkout")
    expect(page.locator("#environments tr")).to_have_count(1)
    expect(page.locator("#q")).to_be_focused()
    expect(page.locator("#q")).to_have_value("checkout")
    assert page.url.endswith("/?q=checkout")
    client.extend("checkout-fix", ExtendRequest(ttl="1890m"))
    expect(page.locator(ROW)).to_contain_text("1d7h")  # the new list has a stream of its own
    page.reload()
    expect(page.locator("#q")).to_have_value("checkout")
    page.go_back()
    expect(page.locator("#environments tr")).to_have_count(len(client.environments()))
    assert not visitor.complaints


def test_every_page_opens_its_stream(visitor: Visitor, client: InProcessClient) -> None:
    for number in range(8):
        with visitor.page.expect_response(lambda answer: "/live?" in answer.url) as heard:
            visitor.page.reload()
        assert heard.value.status == 200, number


def test_who_is_signed_out_meanwhile_keeps_the_page_and_is_told(visitor: Visitor, client: InProcessClient) -> None:
    page = visitor.page
    client.put(environment_view("one-more", State.READY))
    page.get_by_label("Choose checkout-fix").check()
    client.revoke_token(client.tokens()[0].id)
    expect(page.get_by_role("link", name="Sign in in another tab")).to_be_visible()
    expect(page.get_by_label("Choose checkout-fix")).to_be_checked()
    assert not visitor.complaints


def test_several_are_stopped_by_their_boxes(visitor: Visitor, client: InProcessClient) -> None:
    page = visitor.page
    page.get_by_label("Choose checkout-fix").check()
    page.get_by_label("Choose branch-418").check()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("main")).to_contain_text("branch-418 is deploying: stop isn't possible now.")
    page.get_by_role("button", name="Stop 1").click()
    expect(page.get_by_role("main")).to_contain_text("Stop: accepted")
    assert not visitor.complaints


def test_all_of_a_page_are_chosen_by_one_box_and_by_the_keyboard(visitor: Visitor) -> None:
    page = visitor.page
    everyone = page.get_by_label("Choose all on this page")
    boxes = page.locator('#environments input[name="id"]')
    everyone.focus()
    page.keyboard.press("Space")
    expect(page.locator('#environments input[name="id"]:checked')).to_have_count(boxes.count())
    page.get_by_label("Choose checkout-fix").uncheck()
    expect(everyone).not_to_be_checked()
    assert everyone.evaluate("box => box.indeterminate")
    everyone.check()
    everyone.uncheck()
    expect(page.locator('#environments input[name="id"]:checked')).to_have_count(0)
    assert not visitor.complaints
