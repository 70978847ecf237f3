"""Pages that stay open: in several tabs, over lost connections and restarts, and while a session ends."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from environments.domain.environment import EventType
from environments.moments import coarse, countdown
from environments.pages.requests import SESSION_COOKIE
from environments.wire.environments import ExtendRequest
from environments.wire.tokens import TokenRequest
from images.assets import SERVED, ensure_assets
from tests.support.browser import LIMIT, Visitor, browser, driver
from tests.support.cut_line import Line
from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import served_page, signed_in

expect.set_options(timeout=LIMIT * 1000)

NAME = "calvinverse.example.test"
ENVIRONMENT = "shop.apps.example.test"
ROW = "#environments tr:has-text('checkout-fix')"
HERE = "/environments/checkout-fix"
DURATIONS = [0, 1, 59, 60, 61, 599, 3599, 3600, 3661, 7500, 86399, 86400, 90061, 864000, 8640000, 8726400]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with driver() as playwright, browser(playwright, reaches={NAME: "127.0.0.1"}) as running:
        yield running


@pytest.fixture
def assets() -> Path:
    return ensure_assets(lambda line: None) / SERVED


@contextlib.contextmanager
def visiting(chromium: Browser, client: InProcessClient, address: str, **options: object) -> Iterator[Visitor]:
    visitor = Visitor(chromium, **options)
    signed_in(visitor, client, address)
    try:
        yield visitor
    finally:
        visitor.close()


def opened(page: Page, address: str) -> Page:
    """The page, once its stream is open."""
    with page.expect_response(lambda answer: "/live?" in answer.url):
        page.goto(address)
    return page


def log(client: InProcessClient, *lines: str) -> None:
    client.tell_all([(client.now, EventType.LOG, "checkout-fix", line, {}) for line in lines])


def test_two_tabs_are_live_and_what_was_missed_is_shown_once_when_the_line_is_back(
    chromium: Browser, client: InProcessClient, tmp_path: Path, assets: Path
) -> None:
    with (
        Line.laid() as line,
        served_page(client, tmp_path, assets, line=line) as address,
        visiting(chromium, client, address) as visitor,
    ):
        overview = opened(visitor.page, f"{address}/")
        logs = opened(visitor.open(), f"{address}{HERE}/logs")
        client.extend("checkout-fix", ExtendRequest(ttl="1830m"))
        log(client, "before it was cut")
        expect(overview.locator(ROW)).to_contain_text("1d6h")
        expect(logs.locator("#log-lines")).to_contain_text("before it was cut")
        line.cut()
        client.extend("checkout-fix", ExtendRequest(ttl="1890m"))
        log(client, "while it was cut", "a second one")
        line.mend()
        expect(overview.locator(ROW)).to_contain_text("1d7h")
        expect(logs.locator("#log-lines")).to_contain_text("a second one")
        log(client, "after it was mended")
        expect(logs.locator("#log-lines")).to_contain_text("after it was mended")
        shown = logs.locator("#log-lines").inner_text()
        for said in ("before it was cut", "while it was cut", "a second one", "after it was mended"):
            assert shown.count(said) == 1, said
        ids = logs.locator("#log-lines > div").evaluate_all("lines => lines.map(line => line.id)")
        assert len(ids) == len(set(ids))


def test_pages_come_back_by_themselves_when_the_service_was_restarted(
    chromium: Browser, client: InProcessClient, tmp_path: Path, assets: Path
) -> None:
    with Line.laid() as line, contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        address = first.enter_context(served_page(client, tmp_path, assets, line=line))
        visitor = second.enter_context(visiting(chromium, client, address))
        page = opened(visitor.page, f"{address}/")
        page.get_by_label("Choose checkout-fix").check()
        line.cut()
        first.close()
        client.extend("checkout-fix", ExtendRequest(ttl="1830m"))
        second.callback(line.cut)  # before the server stops, which waits for connections
        second.enter_context(served_page(client, tmp_path, assets, line=line))
        line.mend()
        expect(page.locator(ROW)).to_contain_text("1d6h")
        expect(page.get_by_label("Choose checkout-fix")).to_be_checked()
        visitor.close()


def test_nothing_typed_is_lost_when_the_session_ends_in_the_middle_of_a_form(
    chromium: Browser, client: InProcessClient, tmp_path: Path, assets: Path
) -> None:
    with (
        served_page(client, tmp_path, assets) as address,
        visiting(chromium, client, address) as visitor,
    ):
        token = client.create_token(TokenRequest(owner="ada", note="", ttl="1h", role="admin"))
        signed_in(visitor, client, address, token.secret)
        page = visitor.page
        page.goto(f"{address}{HERE}/stop")
        page.get_by_label("Why").fill("for <lunch> & more")
        client.revoke_token(token.token.id)
        page.get_by_role("button", name="Stop it").click()
        expect(page.get_by_role("heading", name="Nothing was done yet")).to_be_visible()
        expect(page.get_by_role("link", name="Sign in in another tab")).to_be_visible()
        signed_in(visitor, client, address)  # as in another tab
        page.get_by_role("button", name="Send it again").click()
        if page.get_by_role("heading", name="Nothing was done yet").is_visible():  # of another session: looked at once
            page.get_by_role("button", name="Send it again").click()
        expect(page.get_by_role("main")).to_contain_text("checkout-fix will be stopped.")
        newest = client.environment("checkout-fix").deployment
        assert newest is not None
        assert "for <lunch> & more" in newest.reason
        assert not visitor.complaints


def test_a_page_of_an_environment_sets_no_session(
    chromium: Browser, client: InProcessClient, tmp_path: Path, assets: Path
) -> None:
    with (
        served_page(client, tmp_path, assets, name=NAME) as address,
        visiting(chromium, client, address) as visitor,
    ):
        evil = client.create_token(TokenRequest(owner="eve", note="", ttl="1h")).secret
        visitor.context.route(
            f"https://{ENVIRONMENT}/**", lambda route: route.fulfill(body="<p>hers</p>", content_type="text/html")
        )
        page = visitor.page
        page.goto(f"https://{ENVIRONMENT}/")
        for named in (SESSION_COOKIE, SESSION_COOKIE.lower(), f"={SESSION_COOKIE}", f" {SESSION_COOKIE}", "plain"):
            for more in ("", "; Domain=example.test", "; Domain=example.test; Path=/settings"):
                page.evaluate("text => { document.cookie = text }", f"{named}={evil}{more}; Secure")
        kept = [one for one in visitor.context.cookies(address) if SESSION_COOKIE.lower() in str(one).lower()]
        assert [(one["name"], one["domain"]) for one in kept] == [(SESSION_COOKIE, NAME)]
        for path in ("/settings", "/"):
            page.goto(f"{address}{path}")
            assert page.url == f"{address}{path}"
        expect(page.locator(ROW)).to_be_visible()  # what whose cookie it would be doesn't see


def test_ages_and_what_is_left_go_on_and_nobody_is_told(
    chromium: Browser, client: InProcessClient, tmp_path: Path, assets: Path
) -> None:
    with (
        served_page(client, tmp_path, assets) as address,
        visiting(chromium, client, address) as visitor,
    ):
        page = visitor.page
        page.clock.install(time=0)  # a browser's clock may be wrong
        page.clock.pause_at(1)
        client.extend("checkout-fix", ExtendRequest(ttl="125m30s"))
        page.goto(f"{address}/")
        left = page.locator(ROW).locator("time[data-ticks=left]")
        expect(left).to_have_text("2h05m")
        page.clock.fast_forward(600_000)
        expect(left).to_have_text("1h55m")
        ticking = page.locator("[aria-live] [data-ticks], [role=status] [data-ticks], [role=alert] [data-ticks]")
        assert ticking.count() == 0
        began = page.locator("meta[name=now]").get_attribute("content")
        said = page.evaluate(
            """([durations, now]) => {
                const at = Date.parse(now) + 600_000, made = [];
                for (const seconds of durations) for (const kind of ["age", "left"]) {
                    const shown = document.createElement("time");
                    shown.dataset.ticks = kind;
                    shown.dateTime = new Date(at + (kind === "age" ? -1000 : 1000) * seconds).toISOString();
                    shown.textContent = "?";
                    document.querySelector("main").append(shown);
                    made.push(shown);
                }
                document.dispatchEvent(new Event("visibilitychange"));
                return made.map((shown) => shown.textContent);
            }""",
            [DURATIONS, began],
        )
        wanted = [words(timedelta(seconds=one)) for one in DURATIONS for words in (coarse, countdown)]
        assert said == wanted
        assert not visitor.complaints
