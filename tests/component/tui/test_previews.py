"""Previews: listed with what keeps one from being as it should, led from to their environment, and seen when ended."""

import pytest

from environments.domain.errors import Forbidden
from tests.support.in_process.client import InProcessClient
from tests.support.tui_driver import Driver, drive
from tests.support.tui_event_scenes import put_previews
from tests.support.tui_scenes import ready
from tui.environment_detail import DetailScreen
from tui.previews import PreviewsScreen


def _previewed() -> InProcessClient:
    client = InProcessClient(ready())
    put_previews(client)
    return client


async def _open(driver: Driver) -> None:
    await driver.until(lambda: driver.app.role and driver.app.known, "the role")
    await driver.press("V")
    await driver.until_screen(PreviewsScreen)
    await driver.until(lambda: driver.screen.things, "the previews")  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (140, 30)])
def test_previews_are_listed_with_their_end_and_their_fault(size: tuple[int, int]) -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.until_text("Previews — 2, 1 with a fault")
        assert "● ready" in driver.text()
        assert "50m00s" in driver.text()
        assert "! not yet" in driver.text()
        full = driver.static("#in-full")
        assert "by the trigger previews, at 0123456789" in full
        assert "It will be destroyed Mon 23 Nov 10:50 CET." in full
        assert "It is asked again Mon 23 Nov 10:08 CET." in full
        await driver.press("down")
        await driver.until(lambda: "✗ The template [web] needs" in driver.static("#in-full"), "the fault")
        assert ("Fault" in driver.text()) == (size[0] >= 110)

    drive(script, _previewed(), size=size)


def test_one_leads_to_its_environment_if_it_has_one() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.press("enter")
        await driver.until_screen(DetailScreen)
        await driver.until(lambda: "shop-pr-12" in driver.static("#header"), "the environment")
        await driver.press("escape")
        await driver.until_screen(PreviewsScreen)
        await driver.press("down", "enter")
        assert driver.said()[-1] == "acme/shop#31 has no environment now."

    drive(script, _previewed(), size=(80, 24))


def test_those_that_have_ended_are_shown_on_request() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.press("x")
        await driver.until_text("Previews with those that have ended — 3")
        await driver.press("home")
        await driver.until_text("○ ended")
        assert "It ended Sun 22 Nov 10:00 CET." in driver.static("#in-full")
        await driver.press("x")
        await driver.until_text("Previews — 2")

    drive(script, _previewed(), size=(80, 24))


def test_without_previews_it_says_what_makes_them() -> None:
    async def script(driver: Driver) -> None:
        await driver.until(lambda: driver.app.role, "the role")
        await driver.press("V")
        await driver.until_text("There are no previews.")
        assert "calvinverse trigger set FILE" in driver.text()
        await driver.press("d")
        assert driver.said()[-1] == "No preview is selected."

    drive(script, InProcessClient(ready()), size=(80, 24))


def test_what_the_service_refuses_stands_in_place_of_the_list() -> None:
    class Refusing(InProcessClient):
        def previews(self, *, ended: bool = False) -> list[object]:  # type: ignore[override]
            raise Forbidden("Your token [doesn't] reach previews.", hint="Ask for another one.")

    async def script(driver: Driver) -> None:
        await driver.until(lambda: driver.app.role, "the role")
        await driver.press("V")
        await driver.until_text("✗ Your token [doesn't] reach previews.")
        assert "^r asks the service again." in driver.text()

    drive(script, Refusing(ready()), size=(80, 24))
