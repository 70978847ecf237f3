"""The log of a container in Chromium: it is followed, and where the reader is stays where it is."""

from pathlib import Path

from playwright.sync_api import expect

from images.assets import SERVED, ensure_assets
from tests.support.browser import LIMIT, Visitor, browser, driver
from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import served_page, signed_in

expect.set_options(timeout=LIMIT * 1000)

SCROLLED = "document.querySelector('.log').scrollTop"


def test_new_lines_come_below_and_do_not_move_the_reader(client: InProcessClient, tmp_path: Path) -> None:
    container = client.service.run("checkout-fix")
    write = client.service.containers.write
    write(container, "".join(f"line {number}\n" for number in range(300)))
    assets = ensure_assets(lambda line: None) / SERVED
    with driver() as playwright, browser(playwright) as chromium, served_page(client, tmp_path, assets) as address:
        visitor = Visitor(chromium)
        signed_in(visitor, client, address)
        page = visitor.page
        page.goto(f"{address}/environments/checkout-fix/logs")
        page.get_by_label("Container").select_option(label="web/app 0a0a0a0a, running")
        page.get_by_role("button", name="Show").click()
        lines = page.locator("#log-lines")
        expect(lines).to_contain_text("line 299")
        write(container, "one more\n")
        expect(lines).to_contain_text("one more")
        assert page.evaluate(SCROLLED) == 0, "the end stays in sight"
        page.evaluate("document.querySelector('.log').scrollTop = -2000")
        top = page.locator("text=line 150")
        before = top.bounding_box()
        assert before is not None
        write(container, "and another\n")
        expect(lines).to_contain_text("and another")
        after = top.bounding_box()
        assert after is not None
        assert abs(after["y"] - before["y"]) < 2
        client.service.containers.end(container)
        expect(page.locator("#log-more")).to_contain_text("It has ended")
        assert not visitor.complaints
        visitor.close()
