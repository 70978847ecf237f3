"""The rules of an environment, and its pin: seen, added, removed, and refused with a reason."""

from textual.widgets import Button, Checkbox, Input, Select

from environments.domain.lifecycle import State
from environments.domain.timing import TimedAction
from environments.wire.timing import PinRequest, RuleRequest
from tests.fakes.plans import NOW
from tests.support.in_process.client import InProcessClient
from tests.support.tui_driver import Driver, drive
from tests.support.tui_scenes import everything, ready
from tests.support.tui_time_scenes import EVENING, ruled
from tests.support.views import environment_id, environment_view
from tui.dialogs import ConfirmDialog
from tui.environment_list import ListScreen
from tui.pin_dialog import PinDialog
from tui.rule_dialog import RuleDialog
from tui.rules import RulesScreen


def _calls(driver: Driver, name: str) -> list[tuple[object, ...]]:
    return [call for call in driver.client.calls if call[0] == name]


async def _open(driver: Driver) -> None:
    await driver.press("W")
    await driver.until_screen(RulesScreen)


def test_rules_are_listed_with_their_next_moment_and_where_they_stand() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.until_text(EVENING)
        shown = driver.text()
        assert "Rules of checkout-fix — 2" in shown
        assert "is stopped" in shown
        assert "Mon 23 Nov 19:00 CET" in shown
        assert "its own" in shown
        assert "policy" in shown
        assert "D removes it." in driver.static("#in-full")
        assert "(23 Nov 18:00 UTC, in 9h00m)" in driver.static("#in-full")
        await driver.press("escape")
        await driver.until_screen(ListScreen)

    drive(script, ruled(), size=(80, 24))


def test_without_rules_it_says_how_to_add_one() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.until_text("No rule of the calendar applies to checkout-fix.")
        assert "Press a to add one" in driver.text()
        assert "calvinverse env rule add checkout-fix" in driver.text()

    drive(script, InProcessClient(ready()), size=(80, 24))


def test_a_rule_is_read_before_it_is_sent_and_its_consequence_is_said() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.press("a")
        await driver.until_screen(RuleDialog)
        assert driver.screen.query_one("#go", Button).disabled
        field = driver.screen.query_one(Input)
        field.value = "0 19 * *"
        await driver.until_text("is not a calendar rule")
        field.value = EVENING
        driver.screen.query_one(Select).value = 1
        await driver.until(lambda: not driver.screen.query_one("#go", Button).disabled, "a whole rule")
        await driver.press("enter")
        await driver.until_screen(RulesScreen)
        wanted = RuleRequest(action=TimedAction.STOP, rule=EVENING)
        assert _calls(driver, "add_rule") == [("add_rule", environment_id("checkout-fix"), wanted)]
        await driver.until_text("is stopped")
        assert any("has the rule. It expires before, " in said for said in driver.said())

    drive(script, InProcessClient(ready()))


def test_a_refused_rule_stays_in_the_dialog_with_reason_and_remedy() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.press("a")
        await driver.until_screen(RuleDialog)
        driver.screen.query_one(Input).value = f"{EVENING} except nl"
        await driver.until(lambda: not driver.screen.query_one("#go", Button).disabled, "a whole rule")
        await driver.press("enter")
        await driver.until(lambda: "which isn't there" in driver.static("#problem"), "the refusal")
        assert "calvinverse calendar" in driver.static("#problem")

    drive(script, InProcessClient(ready()))


def test_its_own_rule_is_removed_after_a_question() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.until_text(EVENING)
        await driver.press("D")
        await driver.until_screen(ConfirmDialog)
        await driver.press("enter")  # the cautious answer has the focus
        await driver.until_screen(RulesScreen)
        assert _calls(driver, "remove_rule") == []
        await driver.press("D")
        await driver.until_screen(ConfirmDialog)
        await driver.press("shift+tab", "enter")
        await driver.until_screen(RulesScreen)
        wanted = RuleRequest(action=TimedAction.STOP, rule=EVENING)
        assert _calls(driver, "remove_rule") == [("remove_rule", environment_id("checkout-fix"), wanted)]
        await driver.until(lambda: EVENING not in driver.text(), "the rule is gone")

    drive(script, ruled())


def test_the_rule_of_a_policy_cannot_be_removed_and_that_is_said() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.until_text(EVENING)
        await driver.press("down", "D")
        await driver.until(lambda: driver.said(), "the reason")
        assert driver.said() == ["It stands in the policy for owner ada; K pins the environment, which suspends it."]
        assert isinstance(driver.screen, RulesScreen)

    drive(script, ruled())


def test_nothing_is_added_to_what_is_being_destroyed() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.press("a")
        await driver.until(lambda: driver.said(), "the reason")
        assert driver.said() == ["leaving is destroying: add rule isn't possible now."]

    drive(script, InProcessClient(environment_view("leaving", State.DESTROYING, deadline=NOW)))


def test_a_pin_shows_its_end_and_only_an_admin_passes_the_maximum() -> None:
    async def script(driver: Driver) -> None:
        await driver.until(lambda: driver.app.role == "admin", "the role")
        await _open(driver)
        await driver.press("K")
        await driver.until_screen(PinDialog)
        when, reason = (driver.screen.query_one(name, Input) for name in ("#when", "#reason"))
        reason.value = "audit"
        when.value = "90d"
        await driver.until(lambda: "is past its maximum" in driver.static("#problem"), "the maximum")
        assert driver.screen.query_one("#go", Button).disabled
        driver.screen.query_one("#past", Checkbox).value = True
        await driver.until(lambda: not driver.screen.query_one("#go", Button).disabled, "an admin may")
        assert "It stays until Sun 21 Feb 2027" in driver.static("#outcome")
        when.focus()
        await driver.press("enter")
        await driver.until_screen(RulesScreen)
        wanted = PinRequest(reason="audit", ttl="90d", past_maximum=True)
        assert _calls(driver, "pin") == [("pin", environment_id("checkout-fix"), wanted)]
        await driver.until_text("by ada: audit")
        await driver.press("U")
        await driver.until(lambda: "checkout-fix isn't pinned any more." in driver.said(), "the end of the pin")

    drive(script, InProcessClient(ready()), size=(80, 24))


def test_who_is_no_admin_cannot_tick_the_maximum_away() -> None:
    async def script(driver: Driver) -> None:
        driver.app.role = "user"
        await driver.press("K")
        await driver.until_screen(PinDialog)
        assert driver.screen.query_one("#past", Checkbox).disabled
        assert "(only admins may)" in driver.text()

    drive(script, InProcessClient(ready()))


def test_rules_that_cannot_be_read_say_why_and_are_asked_for_again() -> None:
    async def script(driver: Driver) -> None:
        driver.client.go_away()
        await driver.until(lambda: driver.app.connection.away, "the outage")
        await driver.press("W")
        await driver.until_screen(RulesScreen)
        await driver.until_text("Nothing is known yet.")
        driver.client.come_back()
        await driver.until_text(EVENING)

    drive(script, ruled())


def test_a_list_follows_the_environment() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await driver.until_text(EVENING)
        driver.client.add_rule("checkout-fix", RuleRequest(rule="0 21 * * * UTC"))
        await driver.until_text("0 21 * * * UTC")

    drive(script, ruled())


def test_everything_has_rules_to_look_at() -> None:
    async def script(driver: Driver) -> None:
        for _ in range(len(driver.app.known)):
            await driver.press("down", "W")
            await driver.until_screen(RulesScreen)
            await driver.press("escape")
            await driver.until_screen(ListScreen)

    drive(script, everything())
