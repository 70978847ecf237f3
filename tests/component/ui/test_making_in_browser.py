"""The forms of environments in a browser: checked while somebody types, by the keyboard, without scripts, for axe."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from images.assets import SERVED, TESTS, ensure_assets
from tests.support.browser import Visitor, browser, driver
from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import served_page, signed_in

TEMPLATE = """
[template]
name = "shapes"
version = "1"
description = "Every shape that a parameter may have"

[lifetime]
default = "8h"
maximum = "14d"

[parameters]
count = { type = "integer", minimum = 1, maximum = 20, title = "How many" }
token = { type = "string", writeOnly = true }
size = { enum = ["small", "large"], default = "small" }
verbosely = { type = "boolean", default = false }
tags = { type = "array", items = { type = "string" }, default = ["a", "b"] }
labels = { type = "object", additionalProperties = { type = "string" }, default = { team = "web" } }
pair = { type = "array", prefixItems = [{ type = "string" }, { type = "integer" }], default = ["x", 1] }

[parameters.servers]
type = "array"
default = [{ host = "one" }]

[parameters.servers.items]
type = "object"
required = ["host"]
properties = { host = { type = "string" }, port = { type = "integer" }, tls = { type = "boolean" } }

[parameters.store]
type = "object"
default = { kind = "none" }

[[parameters.store.oneOf]]
title = "No store"
required = ["kind"]
properties = { kind = { const = "none" } }

[[parameters.store.oneOf]]
title = "A disk"
required = ["kind", "size"]
properties = { kind = { const = "disk" }, size = { type = "string" } }

[[steps]]
name = "settings"
uses = "consul.kv"
with = { keys = { size = "{{ parameters.size }}" } }
"""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FORM = "/environments/new?template=shapes&name=shop-1&p.count=3"


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
    client.push_template(TEMPLATE)
    with served_page(client, tmp_path, ensure_assets(lambda line: None) / SERVED) as found:
        yield found


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 360)])
def test_axe_finds_nothing_on_forms_plans_and_templates(
    address: str, chromium: Browser, client: InProcessClient, theme: str, width: int
) -> None:
    axe = (ensure_assets(lambda line: None) / TESTS / "axe.min.js").read_text(encoding="utf-8")
    visitor = Visitor(chromium, color_scheme=theme, viewport={"width": width, "height": 800}, reduced_motion="reduce")
    signed_in(visitor, client, address)
    page = visitor.page
    faults: list[tuple[str, str, list[str]]] = []

    def look(where: str) -> None:
        page.evaluate(axe)
        found = page.evaluate("tags => axe.run({runOnly: {type: 'tag', values: tags}})", RULES)
        faults.extend(
            (where, one["id"], [node["html"][:150] for node in one["nodes"][:2]]) for one in found["violations"]
        )
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            faults.append((where, "wider than the screen", []))

    for path in ("/environments/new", FORM, "/templates/shapes", "/templates/shapes/file?file=template.toml"):
        page.goto(address + path)
        look(path)
    page.goto(address + FORM)
    page.locator("[name='secret.token']").fill("hunter22")
    page.locator("[name='p.count']").fill("a few")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_text("This is not a whole number.")).to_be_visible()
    look("a form with faults")
    page.locator("[name='p.count']").fill("5")
    page.locator("[name='secret.token']").fill("hunter22")
    page.get_by_role("button", name="Plan first").click()
    expect(page.get_by_role("heading", name="Plan to create shop-1")).to_be_visible()
    look("a plan")
    visitor.close()
    assert not faults
    assert not visitor.complaints


def test_what_is_wrong_appears_while_somebody_types(address: str, chromium: Browser, client: InProcessClient) -> None:
    visitor = Visitor(chromium)
    signed_in(visitor, client, address)
    page = visitor.page
    page.goto(address + FORM)
    count = page.locator("[name='p.count']")
    count.press("End")
    count.press_sequentially("9")
    expect(page.get_by_text("39 is greater than the maximum of 20.")).to_be_visible(timeout=20_000)
    expect(count).to_be_focused()
    expect(count).to_have_value("39")
    count.press("Backspace")
    expect(page.get_by_text("39 is greater than the maximum of 20.")).to_be_hidden(timeout=20_000)
    visitor.close()
    assert not visitor.complaints


@pytest.mark.parametrize("scripts", [True, False])
def test_an_environment_is_made_by_the_keyboard_with_and_without_scripts(
    address: str, chromium: Browser, client: InProcessClient, scripts: bool
) -> None:
    visitor = Visitor(chromium, java_script_enabled=scripts)
    signed_in(visitor, client, address)
    page = visitor.page
    page.goto(address + FORM)
    page.get_by_role("button", name="Add an entry to tags").press("Enter")
    page.locator("[name='p.tags:2']").fill("blue")
    page.get_by_role("button", name="Remove entry 1 of tags").press("Enter")
    _only_case(page, "A disk")
    page.locator("[name='p.store~1.size']").fill("5 GB")
    page.locator("[name='secret.token']").fill("hunter22")
    page.locator("#name").press("Enter")
    expect(page.get_by_role("heading", name="shop-1").first).to_be_visible()
    visitor.close()
    made = client.environment("shop-1").parameters
    assert made["tags"] == ["b", "blue"]
    assert made["store"] == {"kind": "disk", "size": "5 GB"}
    assert not visitor.complaints


def _only_case(page: Page, title: str) -> None:
    """Chooses what a part is; only the fields of that are there to see."""
    expect(page.locator("[name='p.store~1.size']")).to_be_hidden()
    page.get_by_label(title, exact=True).check()
    expect(page.locator("[name='p.store~1.size']")).to_be_visible()
