"""Pictures of the pages for the docs: `python -m tests.support.page_pictures` takes them anew."""

import shutil
import tempfile
from pathlib import Path

from images.assets import SERVED, ensure_assets
from images.places import CHECKOUT
from tests.support.browser import Visitor, browser, driver
from tests.support.in_process.client import InProcessClient, shut_down_all
from tests.support.tui_event_scenes import put_events, put_previews
from tests.support.tui_scenes import everything
from tests.support.tui_time_scenes import put_channels, put_hold, put_policies
from tests.support.ui_harness import served_page, signed_in

FOLDER = CHECKOUT / "docs" / "images" / "web"
PAGE = CHECKOUT / "docs" / "reference" / "web-pages.md"
PUTS = (put_events, put_previews, put_channels, put_policies, put_hold)

PICTURES: dict[str, tuple[str, str]] = {
    "environments": ("/", "All environments that one may see"),
    "environment": ("/environments/checkout-fix", "One environment"),
    "failed": ("/environments/shop", "One that has failed, with the reason"),
    "log": ("/environments/branch-418/logs", "The log of its steps"),
    "history": ("/environments/checkout-fix/history", "What happened to it, and what comes next"),
    "access": ("/environments/checkout-fix/access", "Who has access to it"),
    "destroy": ("/environments/checkout-fix/destroy", "Destroying it wants its name"),
    "schedule": ("/environments/checkout-fix/schedule", "When it is destroyed"),
    "create": ("/environments/new", "Templates to create from"),
    "form": ("/environments/new?template=web", "The form of a template"),
    "update": ("/environments/checkout-fix/update", "An update"),
    "templates": ("/templates", "The templates"),
    "events": ("/events", "What was received from elsewhere"),
    "triggers": ("/triggers", "Triggers"),
    "previews": ("/previews", "Previews of pull requests"),
    "service": ("/service", "The health of the service"),
    "holds": ("/holds", "What the clock doesn't destroy until somebody decides"),
    "policies": ("/policies", "Policies"),
    "people": ("/people", "People"),
    "who-may": ("/access?action=destroy&environment=checkout-fix", "Why somebody may do something"),
    "audit": ("/audit", "The audit log"),
    "tokens": ("/tokens", "Tokens"),
    "settings": ("/settings", "What one has chosen"),
}
"""Name of a picture → the page, and what it shows."""


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
        seen = {"width": 1100, "height": 700}
        visitor = Visitor(running, viewport=seen, reduced_motion="reduce", color_scheme="light")
        signed_in(visitor, client, address)
        for name, (path, _) in PICTURES.items():
            answer = visitor.page.goto(address + path)
            assert answer is not None, path
            assert answer.status == 200, path
            visitor.page.screenshot(path=FOLDER / f"{name}.png")
        visitor.close()


if __name__ == "__main__":
    take()
