"""The channels of warnings: what waits and why, the last deliveries, and a test of them."""

import pytest
from textual.widgets import Button

from environments.domain.errors import Forbidden
from environments.service.channels import Channel
from tests.support.in_process.client import InProcessClient
from tests.support.tui_driver import Driver, drive
from tests.support.tui_scenes import everything
from tests.support.tui_time_scenes import put_channels
from tui.channel_test_dialog import ChannelTestDialog
from tui.channels import ChannelsScreen
from tui.environment_list import ListScreen


def _with_channels() -> InProcessClient:
    client = everything()
    put_channels(client)
    return client


async def _open(driver: Driver) -> None:
    await driver.until(lambda: driver.app.role == "admin", "the role")
    await driver.press("C")
    await driver.until_screen(ChannelsScreen)


def test_channels_show_what_waits_why_and_their_last_deliveries() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.until_text("The Slack webhook answered 404.")
        assert "✗ 1" in driver.text()
        assert "demo-friday to grace@example.net: ✓ delivered Mon 23 Nov 10:00 CET" in driver.static("#in-full")
        await driver.press("down")
        await driver.until(lambda: "demo-friday: ✗ 1 attempt, next" in driver.static("#in-full"), "the failure")

    drive(script, _with_channels(), size=(80, 24))


def test_a_test_is_sent_after_a_question_and_its_outcome_shown() -> None:
    client = _with_channels()
    channels = client.service.warnings._channels

    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.until_text("configured")
        await driver.press("t")
        await driver.until_screen(ChannelTestDialog)
        assert "by email, slack" in driver.text()
        await driver.press("enter")  # the cautious answer has the focus
        await driver.until_screen(ChannelsScreen)
        assert not [call for call in driver.client.calls if call[0] == "test_warnings"]
        await driver.press("t")
        await driver.until_screen(ChannelTestDialog)
        await driver.press("shift+tab", "enter")
        await driver.until(lambda: "email to grace@example.net: ✓ delivered" in driver.static("#outcome"), "e-mail")
        assert "slack: ✗ The Slack webhook answered 404." in driver.static("#outcome")
        assert "Correct the file of channels" in driver.static("#outcome")
        del channels.faults[Channel.SLACK]  # type: ignore[attr-defined]  # those of the test
        driver.screen.query_one("#go", Button).press()
        await driver.until(lambda: "slack: ✓ delivered" in driver.static("#outcome"), "Slack")

    drive(script, client)


def test_without_channels_it_says_who_configures_them() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.until_text("No channel is configured: warnings are events alone.")
        assert "CALVINVERSE_WARNING_CHANNELS" in driver.text()
        await driver.press("t")
        await driver.until_screen(ChannelTestDialog)
        await driver.press("shift+tab", "enter")
        await driver.until(lambda: "No channel is configured" in driver.static("#outcome"), "the outcome")

    drive(script, everything(), size=(80, 24))


def test_who_is_no_admin_is_told_why_the_channels_stay_closed() -> None:
    async def script(driver: Driver) -> None:
        await driver.until(lambda: driver.app.role, "the role")
        driver.app.role = "user"
        await driver.press("C")
        said = "Show channels of warnings: only admins may do this, and your token isn't an admin's."
        assert driver.said()[-1] == said
        assert isinstance(driver.screen, ListScreen)

    drive(script, _with_channels())


def test_a_refusal_of_the_service_is_shown_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The role may not be known yet, or have changed."""
    client = everything()

    def refuse() -> None:
        raise Forbidden("Only an admin can see and test the channels.", hint="Ask an admin.")

    monkeypatch.setattr(client, "warning_channels", refuse)

    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.until_text("Only an admin can see and test the channels.")
        assert "Ask an admin." in driver.text()
        assert "^r asks the service again." in driver.text()

    drive(script, client)
