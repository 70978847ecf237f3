"""Holds: seen with their reason, released after a reason and the id were typed, cancelled, and seen when they ended."""

from textual.widgets import Button, Input

from environments.wire.holds import CancelHoldRequest, ReleaseHoldRequest
from tests.support.in_process.client import InProcessClient
from tests.support.tui_driver import Driver, drive
from tests.support.tui_scenes import ready
from tests.support.tui_time_scenes import put_hold
from tui.hold_dialogs import CancelHoldDialog, ReleaseDialog
from tui.holds import HoldsScreen

HOLD = f"hold-{'a' * 12}"


def _held() -> InProcessClient:
    client = InProcessClient(ready())
    put_hold(client)
    return client


def _calls(driver: Driver, name: str) -> list[tuple[object, ...]]:
    return [call for call in driver.client.calls if call[0] == name]


async def _open(driver: Driver) -> None:
    await driver.until(lambda: driver.app.role == "admin", "the role")
    await driver.press("h")
    await driver.until_screen(HoldsScreen)


def test_a_hold_is_seen_from_the_list_with_its_reason_and_what_it_holds() -> None:
    async def script(driver: Driver) -> None:
        await driver.until_text("! held")
        assert "! 11 held" in driver.text()
        await _open(driver)
        await driver.until_text(HOLD)
        assert "! open" in driver.text()
        assert "11 of 12 environments became due" in driver.static("#in-full")
        assert "held-03" in driver.static("#in-full")

    drive(script, _held(), size=(80, 24))


def test_a_release_needs_a_reason_and_the_id() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.until_text(HOLD)
        await driver.press("R")
        await driver.until_screen(ReleaseDialog)
        assert "11 environments will be destroyed" in driver.text()
        driver.screen.query_one("#reason", Input).value = "they are over"
        await driver.press("enter")
        await driver.write("hold")
        await driver.press("enter")
        assert _calls(driver, "release_hold") == []
        driver.screen.query_one("#name", Input).value = HOLD
        await driver.until(lambda: not driver.screen.query_one("#go", Button).disabled, "both")
        await driver.press("enter")
        await driver.until_screen(HoldsScreen)
        wanted = ReleaseHoldRequest(reason="they are over", environments=11)
        assert _calls(driver, "release_hold") == [("release_hold", HOLD, wanted)]
        await driver.until_text("No destroy by the clock is held.")
        await driver.press("x")
        await driver.until_text("○ released")
        assert "released by ada" in driver.static("#in-full")
        assert "they are over" in driver.static("#in-full")
        await driver.press("R")
        assert driver.said()[-1] == f"{HOLD} has ended already."

    drive(script, _held(), size=(80, 24))


def test_a_cancel_keeps_the_environments_for_as_long_as_one_says() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.until_text(HOLD)
        await driver.press("X")
        await driver.until_screen(CancelHoldDialog)
        assert driver.screen.query_one("#go", Button).disabled
        await driver.write("oops")
        driver.screen.query_one("#when", Input).value = "soon"
        await driver.until(lambda: "not a duration" in driver.static("#problem"), "the complaint")
        driver.screen.query_one("#when", Input).value = "3d"
        await driver.until(lambda: "at least until Thu 26 Nov 10:00 CET." in driver.static("#outcome"), "the outcome")
        await driver.press("enter")
        await driver.until_screen(HoldsScreen)
        wanted = CancelHoldRequest(reason="oops", keep_for="3d")
        assert _calls(driver, "cancel_hold") == [("cancel_hold", HOLD, wanted)]
        assert f"{HOLD} is cancelled: 11 environments will be kept." in driver.said()

    drive(script, _held(), size=(80, 24))


def test_who_is_no_admin_sees_holds_and_is_told_who_decides() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.until_text(HOLD)
        driver.app.role = "user"
        for key, title in {"R": "Release hold", "X": "Cancel held destroys"}.items():
            await driver.press(key)
            assert driver.said()[-1] == f"{title}: only admins may do this, and your token isn't an admin's."

    drive(script, _held())
