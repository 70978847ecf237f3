"""Received events: listed with what triggers did, filtered, shown as text whatever strangers wrote, and replayed."""

import pytest
from textual.widgets import Button, Input, Select

from environments.domain.errors import ServiceUnavailable
from tests.support.in_process.client import InProcessClient
from tests.support.tui_driver import Driver, drive
from tests.support.tui_event_scenes import put_events
from tests.support.tui_scenes import ready
from tui.dialogs import ConfirmDialog
from tui.environment_detail import DetailScreen
from tui.fields import FormField
from tui.received_event_dialogs import EventDialog, FilterDialog
from tui.received_events import EventsScreen

SMALL = (80, 24)


def _received() -> InProcessClient:
    client = InProcessClient(ready())
    put_events(client)
    return client


def _calls(driver: Driver, name: str) -> list[tuple[object, ...]]:
    return [call[1:] for call in driver.client.calls if call[0] == name]


async def _open(driver: Driver) -> None:
    await driver.until(lambda: driver.app.role and driver.app.known, "the role")
    await driver.press("L")
    await driver.until_screen(EventsScreen)
    await driver.until(lambda: driver.screen.things, "the events")  # type: ignore[attr-defined]


def _set(driver: Driver, key: str, value: object) -> None:
    control = next(field for field in driver.screen.query(FormField) if field.key == key).control()
    assert isinstance(control, Input | Select)
    control.value = value


def test_events_are_listed_newest_first_with_what_triggers_did() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.until_text("Received events — 3")
        assert "acme/shop#12" in driver.text()
        assert "✗ refused" in driver.text()
        assert "more than 5 firings led to it" in driver.static("#in-full")
        await driver.press("down")
        await driver.until(lambda: "destroy checkout-fix  by end-with-pr" in driver.static("#in-full"), "the firings")
        assert "- left out stop checkout-fix  by rest" in driver.static("#in-full")
        assert "└ destroyed by the same event" in driver.static("#in-full")
        await driver.press("down")
        await driver.until(lambda: "No trigger has done anything" in driver.static("#in-full"), "that nothing was done")

    drive(script, _received(), size=SMALL)


@pytest.mark.parametrize("size", [SMALL, (60, 20)])
def test_what_strangers_wrote_is_text_and_never_markup(size: tuple[int, int]) -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.press("down", "enter")
        await driver.until_screen(EventDialog)
        await driver.until(lambda: "What triggers did" in driver.static("#told"), "the details")
        told = driver.static("#told")
        assert "title: [bold red]pay[/] " in told
        assert "${secret}" in told
        assert not {"\x1b", "\N{RIGHT-TO-LEFT OVERRIDE}"} & set(told + driver.text())
        assert "delivery delivery-closed" in told
        await driver.press("pagedown", "pagedown", "pagedown")
        await driver.until_text("[bold red]pay[/]")
        await driver.press("escape")
        await driver.until_screen(EventsScreen)

    drive(script, _received(), size=size)


def test_events_are_filtered_by_environment_source_and_state() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.press("slash")
        await driver.until_screen(FilterDialog)
        _set(driver, "environment", "checkout-fix")
        await driver.pilot.pause()
        await driver.press("enter")
        await driver.until_text("only of checkout-fix; / changes that")
        await driver.until_text("Received events — 1")
        await driver.press("slash")
        await driver.until_screen(FilterDialog)
        _set(driver, "state", 3)
        driver.screen.query_one("#go", Button).press()
        await driver.until_text("No received event fits the filter.")
        await driver.press("slash")
        await driver.until_screen(FilterDialog)
        _set(driver, "environment", "nobody")
        _set(driver, "state", 0)
        driver.screen.query_one("#go", Button).press()
        await driver.until_text("✗ There is no environment")
        await driver.press("slash")
        await driver.until_screen(FilterDialog)
        _set(driver, "environment", "")
        driver.screen.query_one("#go", Button).press()
        await driver.until_text("Received events — 3")

    drive(script, _received(), size=SMALL)


def test_the_detail_of_an_environment_leads_to_its_own_events() -> None:
    async def script(driver: Driver) -> None:
        await driver.until(lambda: driver.app.role and driver.app.known, "the role")
        await driver.press("enter")
        await driver.until_screen(DetailScreen)
        await driver.press("L")
        await driver.until_screen(EventsScreen)
        await driver.until_text("only of checkout-fix; / changes that")
        await driver.until_text("Received events — 1")
        await driver.press("escape")
        await driver.until_screen(DetailScreen)

    drive(script, _received(), size=SMALL)


def test_admins_replay_one_after_a_question() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.press("R")
        assert driver.said()[-1] == "evt-labelled was refused, and would be refused again."
        await driver.press("down", "R")
        await driver.until_screen(ConfirmDialog)
        await driver.press("enter")  # the button that does nothing has the focus
        await driver.until_screen(EventsScreen)
        assert _calls(driver, "replay_event") == []
        await driver.press("R")
        await driver.until_screen(ConfirmDialog)
        await driver.pilot.click("#go")
        await driver.until_screen(EventsScreen)
        assert _calls(driver, "replay_event") == [("evt-closed",)]
        assert "evt-closed is received again." in driver.said()
        await driver.until_text("Received events — 4")
        await driver.press("home")
        await driver.until(lambda: "a replay of evt-closed" in driver.static("#in-full"), "the new one")
        assert "haven't been matched with it yet" in driver.static("#in-full")
        driver.app.role = "user"
        await driver.press("R")
        assert driver.said()[-1] == ("Replay received event: only admins may do this, and your token isn't an admin's.")

    drive(script, _received(), size=SMALL)


def test_without_events_it_says_where_they_come_from() -> None:
    async def script(driver: Driver) -> None:
        await driver.until(lambda: driver.app.role, "the role")
        await driver.press("L")
        await driver.until_text("No event that you may see was received.")
        await driver.press("d")
        assert driver.said()[-1] == "No event is selected."

    drive(script, InProcessClient(ready()), size=SMALL)


def test_what_is_known_stays_while_the_service_is_away_and_a_dialog_says_why_it_knows_no_more() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        driver.client.go_away(ServiceUnavailable("The service is gone."))
        await driver.until(lambda: driver.app.connection.away, "the outage")
        await driver.press("enter")
        await driver.until_screen(EventDialog)
        await driver.until(lambda: "The service is gone." in driver.static("#problem"), "why")
        assert "title: [bold red]pay[/]" in driver.static("#told")
        await driver.press("escape", "down", "R")
        assert "There is no connection" in driver.said()[-1]
        assert "acme/shop#12" in driver.text()

    drive(script, _received(), size=SMALL)
