"""Dialogs: destroy asks for the name, a deadline shows its outcome first, and what goes wrong is said there."""

from datetime import UTC, datetime

import pytest
from textual.widgets import Button, Input

from environments.domain.environment import EventType
from environments.domain.errors import NotAllowedNow
from environments.domain.lifecycle import State
from environments.wire.environments import ExtendRequest
from environments.wire.timing import PinRequest
from tests.support.tui_driver import Driver, drive
from tests.support.tui_scenes import everything
from tests.support.views import environment_id, environment_view
from tui.deadline_dialog import DeadlineDialog
from tui.dialogs import DestroyDialog, Dialog
from tui.environment_detail import DetailScreen
from tui.environment_list import ListScreen
from tui.explain_dialog import ExplainDialog
from tui.help import HelpScreen
from tui.pin_dialog import PinDialog
from tui.switch_dialog import StopDialog


def _go(driver: Driver) -> Button:
    return driver.screen.query_one("#go", Button)


def _calls(driver: Driver, name: str) -> list[tuple[object, ...]]:
    return [call for call in driver.client.calls if call[0] == name]


def test_destroy_needs_the_very_name_and_goes_by_id() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("down", "D")
        await driver.until_screen(DestroyDialog)
        await driver.write("checkout-fi")
        assert _go(driver).disabled
        await driver.press("enter")
        assert _calls(driver, "destroy") == []
        await driver.write("x")
        await driver.press("enter")
        await driver.until_screen(ListScreen)
        assert _calls(driver, "destroy") == [("destroy", environment_id("checkout-fix"), "")]
        assert "checkout-fix is being destroyed." in driver.said()
        await driver.until_text("▼ destroying")

    drive(script, everything())


def test_a_wrong_name_is_said_to_be_wrong_and_a_beginning_of_it_is_not() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("down", "D")
        await driver.until_screen(DestroyDialog)
        await driver.write("check")
        assert driver.static("#wrong-name") == ""
        await driver.write("in")
        await driver.until(lambda: "isn't its name: it is checkout-fix" in driver.static("#wrong-name"), "the word")
        await driver.press("backspace", "backspace", "enter")
        assert "isn't its name" in driver.static("#wrong-name")
        assert _calls(driver, "destroy") == []

    drive(script, everything())


def test_esc_destroys_nothing() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("ctrl+d")
        await driver.until_screen(DestroyDialog)
        await driver.press("escape")
        await driver.until_screen(ListScreen)
        assert _calls(driver, "destroy") == []

    drive(script, everything())


def test_a_refusal_is_shown_in_the_dialog_and_what_was_typed_stays() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("down", "D")
        await driver.until_screen(DestroyDialog)
        driver.client.refuse = NotAllowedNow("Not while somebody looks.")
        await driver.write("checkout-fix")
        await driver.press("enter")
        await driver.until(lambda: "Not while somebody looks." in driver.static("#problem"), "the refusal")
        assert driver.screen.query_one("#name", Input).value == "checkout-fix"
        assert "`calvinverse env show`" in driver.static("#problem")

    drive(script, everything())


def test_extend_shows_the_new_deadline_and_sends_that_moment() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("down", "e")
        await driver.until_screen(DeadlineDialog)
        assert "Mon 23 Nov 16:55 CET" in driver.static("#outcome")
        field = driver.screen.query_one("#when", Input)
        field.value = "2h"
        await driver.until(lambda: "17:55 CET, in 7h55m" in driver.static("#outcome"), "the outcome")
        await driver.press("enter")
        await driver.until_screen(ListScreen)
        wanted = ExtendRequest(until=datetime(2026, 11, 23, 16, 55, tzinfo=UTC))
        assert _calls(driver, "extend") == [("extend", environment_id("checkout-fix"), wanted)]
        await driver.until_text("7h55m")

    drive(script, everything())


def test_schedule_takes_a_duration_or_a_moment_and_refuses_what_is_too_late() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("down", "s")
        await driver.until_screen(DeadlineDialog)
        assert _go(driver).disabled
        field = driver.screen.query_one("#when", Input)
        field.value = "2026-12-31T18:00"
        await driver.until(lambda: "later than this template allows" in driver.static("#problem"), "the limit")
        assert _go(driver).disabled
        field.value = "tomorrow"
        await driver.until(lambda: "not a duration" in driver.static("#problem"), "the complaint")
        field.value = "2026-11-25T18:00"
        await driver.until(lambda: "Wed 25 Nov 18:00 CET, in 2d8h" in driver.static("#outcome"), "the outcome")
        await driver.press("enter")
        await driver.until_screen(ListScreen)
        wanted = ExtendRequest(until=datetime(2026, 11, 25, 17, 0, tzinfo=UTC))
        assert _calls(driver, "extend") == [("extend", environment_id("checkout-fix"), wanted)]

    drive(script, everything())


def test_why_and_when_it_is_destroyed_is_shown_and_nothing_changes() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("down", "w")
        await driver.until_screen(ExplainDialog)
        await driver.until(lambda: "it is destroyed" in driver.static("#moments"), "the moments")
        shown = driver.static("#moments")
        assert "Mon 23 Nov 15:55 CET (23 Nov 14:55 UTC, in 5h55m)" in shown
        assert "because" in shown
        assert shown.index("deadline set") < shown.index(", now ──") < shown.index("it is destroyed")
        assert "by ada: ada moved the deadline" in shown
        await driver.press("escape")
        await driver.until_screen(ListScreen)
        assert _calls(driver, "extend") == _calls(driver, "destroy") == []

    client = everything()
    data = {"by": "ada"}
    client.tell(EventType.ENVIRONMENT_EXTENDED, "checkout-fix", "ada moved the deadline to 15:55", data=data)
    drive(script, client)


def test_a_pin_needs_a_duration_and_a_reason() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("down", "K")
        await driver.until_screen(PinDialog)
        assert _go(driver).disabled
        driver.screen.query_one("#when", Input).value = "tomorrow"
        await driver.until(lambda: "not a duration" in driver.static("#problem"), "the complaint")
        driver.screen.query_one("#when", Input).value = "3d"
        await driver.until(lambda: not driver.screen.query_one("#problem").display, "no complaint")
        assert _go(driver).disabled
        driver.screen.query_one("#reason", Input).value = "a demonstration"
        await driver.until(lambda: not _go(driver).disabled, "the button")
        driver.screen.query_one("#reason", Input).focus()
        await driver.press("enter")
        await driver.until_screen(ListScreen)
        wanted = PinRequest(reason="a demonstration", ttl="3d")
        assert _calls(driver, "pin") == [("pin", environment_id("checkout-fix"), wanted)]
        await driver.press("w")
        await driver.until_screen(ExplainDialog)
        await driver.until(lambda: "pinned it until" in driver.static("#moments"), "the pin")

    drive(script, everything())


def test_without_a_deadline_the_calendar_does_nothing() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("slash")
        await driver.write("meta")
        await driver.press("enter", "w")
        await driver.until_screen(ExplainDialog)
        await driver.until(lambda: "until somebody destroys it" in driver.static("#moments"), "the answer")

    drive(script, everything())


def test_what_cannot_be_done_now_is_said_instead_of_asked() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("r")
        assert driver.said() == ["branch-418 is deploying: retry isn't possible now."]
        await driver.press("slash")
        await driver.write("meta")
        await driver.press("enter", "D")
        await driver.until(lambda: len(driver.said()) == 2, "the word")
        assert "managed from outside" in driver.said()[1]
        assert isinstance(driver.screen, ListScreen)

    drive(script, everything())


def test_retry_is_sent_at_once() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("slash")
        await driver.write("shop")
        await driver.press("enter", "r")
        await driver.until(lambda: _calls(driver, "retry"), "the call")
        await driver.until_text("◐ deploying")

    drive(script, everything())


def test_a_stop_is_confirmed_and_a_start_is_sent_at_once() -> None:
    client = everything()
    stopped = environment_view("resting", State.STOPPED)
    client.put(stopped)

    async def script(driver: Driver) -> None:
        await driver.press("slash")
        await driver.write("checkout")
        await driver.press("enter", "z")
        await driver.until_screen(StopDialog)
        assert "its data is kept" in driver.text()
        await driver.press("enter")  # the cautious button has the focus
        await driver.until_screen(ListScreen)
        assert not _calls(driver, "stop")
        await driver.press("z")
        await driver.until_screen(StopDialog)
        await driver.press("shift+tab", "enter")
        await driver.until_screen(ListScreen)
        assert _calls(driver, "stop") == [("stop", environment_id("checkout-fix"), "")]
        await driver.press("escape", "slash")
        await driver.write("resting")
        await driver.press("enter")
        await driver.until_text("◻ stopped")
        await driver.press("u")
        assert driver.said()[-1] == "resting is stopped: update isn't possible now."
        await driver.press("t")
        await driver.until(lambda: _calls(driver, "start"), "the call")
        await driver.until_text("◔ starting")

    drive(script, client)


def test_help_shows_every_key_and_sign() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("question_mark")
        await driver.until_screen(HelpScreen)
        text = driver.text()
        for said in ("D ^d", "Schedule destruction", "/", "⊗ destroy failed", "G", "! 12m30s"):
            assert said in text, said
        await driver.press("escape")
        await driver.until_screen(ListScreen)

    drive(script, everything(), size=(100, 200))


def test_the_palette_finds_actions_and_environments() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("colon")
        await driver.until_text("Schedule destruction")
        assert "Retry" not in driver.text()
        await driver.write("go to demo")
        await driver.until_text("Go to demo-friday")
        await driver.press("down", "enter")
        await driver.until(lambda: "demo-friday" in driver.static("#header"), "the detail")

    drive(script, everything())


def test_the_palette_finds_what_the_docs_name() -> None:
    """By the command, by words of its help, also what can't be done now and what only the command line can."""

    async def script(driver: Driver) -> None:
        for typed, found in (
            ("env extend", "Extend branch-418"),
            ("deadline duration", "Extend branch-418"),
            ("retry", "Retry branch-418"),
            ("template push", "Push template"),
        ):
            await driver.press("colon")
            await driver.write(typed)
            await driver.until_text(found)
            await driver.press("escape", "escape")
            await driver.until_screen(ListScreen)

    drive(script, everything())


@pytest.mark.parametrize("key", ["D", "e", "s", "R", "A", "X"])
def test_the_buttons_of_each_dialog_stay_on_a_small_screen(key: str) -> None:
    """Whatever is listed and refused."""
    client = everything()
    name = {"A": "stuck", "X": "branch-418"}.get(key, "checkout-fix")
    lines = client.inventory["checkout-fix"]
    client.inventory[name] = [
        line.model_copy(update={"address": f"{line.address}{copy}"}) for copy in ("", "-1", "-2") for line in lines
    ]

    async def script(driver: Driver) -> None:
        driver.app.open_detail(next(view for view in driver.app.known.values() if view.name == name))
        await driver.until_screen(DetailScreen)
        await driver.press(key)
        await driver.until(lambda: isinstance(driver.screen, Dialog) and driver.screen.is_mounted, "the dialog")
        dialog = driver.screen
        assert isinstance(dialog, Dialog)
        for trouble in (None, NotAllowedNow("Nobody may do that now, for a reason that takes a while to tell. " * 8)):
            dialog.complain(trouble)
            await driver.pilot.pause()
            region = _go(driver).region
            assert dialog.region.contains_region(region)
            assert str(_go(driver).label) in driver.text()

    drive(script, client, size=(80, 24))
