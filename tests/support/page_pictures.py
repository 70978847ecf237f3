"""Pictures of the pages for the docs: `python -m tests.support.page_pictures` takes them anew."""

import shutil
import tempfile
from pathlib import Path

from images.assets import SERVED, ensure_assets
from images.places import CHECKOUT
from tests.support.browser import Visitor, browser, driver
from tests.support.in_process.client import InProcessClient, shut_down_all
from tests.support.page_picture_list import PICTURES
from tests.support.page_scenes import put_catalogue, put_people, put_plan
from tests.support.tui_event_scenes import put_events, put_previews
from tests.support.tui_scenes import drift_away, everything
from tests.support.tui_time_scenes import put_channels, put_hold, put_policies
from tests.support.ui_harness import served_page, signed_in

FOLDER = CHECKOUT / "docs" / "images" / "web"
PAGE = CHECKOUT / "docs" / "reference" / "web-pages.md"
PUTS = (
    put_events,
    put_previews,
    put_channels,
    put_policies,
    put_hold,
    put_people,
    put_catalogue,
    drift_away,
    put_plan,
)
HIGHEST = 700
"""Pixels of a picture; a page with less on it makes a lower one."""


def page() -> str:
    """The page of the docs."""
    shown = "\n\n".join(f"## {says}\n\n![{says}](../images/web/{name}.png)" for name, (_, says) in PICTURES.items())
    return (
        "# Pages of the web page\n\n"
        "Pictures of the pages, with environments of a test: `python -m tests.support.page_pictures` takes them anew. "
        f"How to use them: [the web page](../how-to/web-page.md).\n\n{shown}\n"
    )


def take() -> None:
    """Takes all pictures anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    client = everything()
    for put in PUTS:
        put(client)
    try:
        with tempfile.TemporaryDirectory() as name:
            _take(client, Path(name))
    finally:
        shut_down_all()
    PAGE.write_text(page(), encoding="utf-8")


def _take(client: InProcessClient, folder: Path) -> None:
    assets = ensure_assets(print) / SERVED
    with served_page(client, folder, assets) as address, driver() as started, browser(started) as running:
        seen = {"width": 1100, "height": HIGHEST}
        visitor = Visitor(running, viewport=seen, reduced_motion="reduce", color_scheme="light")
        signed_in(visitor, client, address)
        for name, (path, _) in PICTURES.items():
            answer = visitor.page.goto(address + path)
            assert answer is not None, path
            assert answer.status == 200, path
            content = visitor.page.evaluate("document.body.getBoundingClientRect().height")
            visitor.page.screenshot(
                path=FOLDER / f"{name}.png",
                clip={"x": 0, "y": 0, "width": 1100, "height": min(HIGHEST, content)},
            )
        visitor.close()


if __name__ == "__main__":
    take()
