"""Policies and holiday calendars: seen, set after a preview, removed, and refused with a reason."""

from datetime import date
from pathlib import Path

import pytest
from textual.widgets import Button, Input, Select

from environments.domain.timing import Holiday, Scope, TimedAction
from environments.wire.timing import CalendarRequest, PolicyRequest, RuleRequest
from tests.support.in_process.client import InProcessClient
from tests.support.tui_driver import Driver, drive
from tests.support.tui_scenes import ready
from tests.support.tui_time_scenes import ruled
from tui.calendar_dialogs import CalendarDialog, DaysDialog
from tui.calendars import CalendarsScreen
from tui.dialogs import ConfirmDialog
from tui.environment_list import ListScreen
from tui.fields import FormField
from tui.help import HelpScreen
from tui.policies import PoliciesScreen
from tui.policy_dialogs import PolicyDialog, RemovePolicyDialog
from tui.rules import RulesScreen

NOON = "0 12 * * 1 Europe/Berlin"


def _calls(driver: Driver, name: str, *, dry: bool) -> list[tuple[object, ...]]:
    return [call[:-1] for call in driver.client.calls if call[0] == name and call[-1] is dry]


def _field(driver: Driver, key: str) -> Input:
    control = next(field for field in driver.screen.query(FormField) if field.key == key).control()
    assert isinstance(control, Input)
    return control


async def _may_go(driver: Driver) -> None:
    await driver.until(lambda: not driver.screen.query_one("#go", Button).disabled, "the button")


async def _open(driver: Driver, key: str, kind: type[PoliciesScreen] | type[CalendarsScreen]) -> None:
    await driver.until(lambda: driver.app.role, "the role")
    await driver.press(key)
    await driver.until_screen(kind)


def _calendar(client: InProcessClient, name: str = "nl") -> None:
    days = (Holiday(day=date(2026, 1, 1)), Holiday(day=date(2027, 4, 27), title="King's Day"))
    client.set_calendar(name, CalendarRequest(days=days))


def test_without_policies_it_says_what_they_are_and_how_to_set_one() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver, "P", PoliciesScreen)
        await driver.until_text("There are no policies.")
        assert "Press S to set one (admins only)" in driver.text()
        await driver.press("E")
        assert driver.said()[-1] == "No policy is selected."
        await driver.press("H")
        await driver.until_screen(CalendarsScreen)
        await driver.until_text("There are no holiday calendars.")
        assert "calvinverse calendar set nl holidays.ics" in driver.text()
        await driver.press("escape")
        await driver.until_screen(ListScreen)

    drive(script, InProcessClient(ready()), size=(80, 24))


def test_a_policy_is_set_after_its_effect_was_shown_and_the_name_typed() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver, "P", PoliciesScreen)
        await driver.press("S")
        await driver.until_screen(PolicyDialog)
        _field(driver, "name").value = "ada"
        _field(driver, "destroy").value = "never"
        await driver.until_text("'never' is not a calendar rule.")
        assert driver.screen.query_one("#go", Button).disabled
        _field(driver, "destroy").value = NOON
        await _may_go(driver)
        await driver.press("enter")
        await driver.until_text("It would move 1 deadline of 1 environment:")
        assert "Mon 23 Nov 15:55 CET → Mon 23 Nov 12:00 CET" in driver.text()
        assert _calls(driver, "set_policy", dry=False) == []
        await driver.until(lambda: driver.app.focused is not None and driver.app.focused.id == "name", "the name")
        await driver.write("ad")
        await driver.press("enter")
        assert _calls(driver, "set_policy", dry=False) == []
        await driver.write("a")
        await driver.press("enter")
        await driver.until_screen(PoliciesScreen)
        wanted = PolicyRequest(rules=(RuleRequest(rule=NOON),))
        assert _calls(driver, "set_policy", dry=False) == [("set_policy", Scope.OWNER, "ada", wanted)]
        assert driver.said()[-1] == "The policy for owner ada is set. It moves 1 deadline of 1 environment."
        await driver.until_text("owner ada")

    drive(script, InProcessClient(ready()), size=(80, 24))


def test_esc_leads_from_the_preview_back_to_what_was_typed() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver, "P", PoliciesScreen)
        await driver.until_text("owner ada")
        await driver.press("E")
        await driver.until_screen(PolicyDialog)
        assert _field(driver, "destroy").value == "0 20 * * 5 Europe/Berlin"
        _field(driver, "stop").value = "0 18 * * * UTC; 0 19 * * * UTC"
        _field(driver, "maximum").value = "7d"
        await _may_go(driver)
        await driver.press("enter")
        await driver.until_text("The policy for owner ada will be changed.")
        await driver.press("escape")
        await driver.until(lambda: driver.screen.query_one("#asked").display, "the fields")
        assert _field(driver, "maximum").value == "7d"
        await driver.press("enter")
        await driver.until_text("It would move no deadline of 1 environment.")
        driver.screen.query_one("#go", Button).press()
        await driver.until_screen(PoliciesScreen)
        rules = (
            RuleRequest(rule="0 20 * * 5 Europe/Berlin"),
            RuleRequest(action=TimedAction.STOP, rule="0 18 * * * UTC"),
            RuleRequest(action=TimedAction.STOP, rule="0 19 * * * UTC"),
        )
        wanted = ("set_policy", Scope.OWNER, "ada", PolicyRequest(rules=rules, maximum="7d"))
        assert _calls(driver, "set_policy", dry=False) == [wanted]
        await driver.until_text("maximum 7d")

    client = ruled()
    client.calls.clear()
    drive(script, client)


def test_a_policy_that_replaces_another_one_says_so_and_a_template_can_be_chosen() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver, "P", PoliciesScreen)
        await driver.until_text("owner ada")
        await driver.press("S")
        await driver.until_screen(PolicyDialog)
        _field(driver, "name").value = "ada"
        _field(driver, "maximum").value = "90d"
        await _may_go(driver)
        await driver.press("enter")
        await driver.until(lambda: "It replaces the present policy" in driver.static("#outcome"), "the note")
        await driver.press("escape")
        driver.screen.query_one(Select).value = 1
        _field(driver, "name").value = "web"
        await _may_go(driver)
        _field(driver, "name").focus()
        await driver.press("enter")
        await driver.until(lambda: "The policy for template web will be set." in driver.static("#outcome"), "it")
        assert "replaces" not in driver.static("#outcome")

    drive(script, ruled())


def test_a_policy_is_removed_after_its_effect_was_shown() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver, "P", PoliciesScreen)
        await driver.until_text("owner ada")
        await driver.press("D")
        await driver.until_screen(RemovePolicyDialog)
        await driver.until_text("It would move no deadline of 1 environment.")
        await driver.press("enter")  # the cautious answer has the focus
        await driver.until_screen(PoliciesScreen)
        assert _calls(driver, "remove_policy", dry=False) == []
        await driver.press("D")
        await driver.until_screen(RemovePolicyDialog)
        await driver.until_text("It would move no deadline of 1 environment.")
        await driver.press("shift+tab", "enter")
        await driver.until_screen(PoliciesScreen)
        assert _calls(driver, "remove_policy", dry=False) == [("remove_policy", Scope.OWNER, "ada")]
        await driver.until_text("There are no policies.")

    drive(script, ruled())


def test_who_is_no_admin_is_told_before_anything_is_typed() -> None:
    async def script(driver: Driver) -> None:
        await driver.until(lambda: driver.app.role, "the role")
        driver.app.role = "user"
        await driver.press("P")
        await driver.until_screen(PoliciesScreen)
        await driver.until_text("owner ada")
        for key, title in {"S": "Set policy", "E": "Change policy", "D": "Remove policy"}.items():
            await driver.press(key)
            assert driver.said()[-1] == f"{title}: only admins may do this, and your token isn't an admin's."
        assert isinstance(driver.screen, PoliciesScreen)

    drive(script, ruled())


def test_a_calendar_is_set_from_a_file_and_its_days_are_shown(tmp_path: Path) -> None:
    file = tmp_path / "days.txt"
    file.write_text("2026-12-25 Christmas\n2027-04-27 King's Day\n")
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("Christmas\n")

    async def script(driver: Driver) -> None:
        await _open(driver, "H", CalendarsScreen)
        await driver.press("S")
        await driver.until_screen(CalendarDialog)
        _field(driver, "name").value = "NL"
        await driver.until_text("lower-case letters")
        _field(driver, "name").value = "nl"
        _field(driver, "file").value = str(tmp_path / "nothing")
        await _may_go(driver)
        await driver.press("enter")
        await driver.until(lambda: "There is no file" in driver.static("#problem"), "the missing file")
        _field(driver, "file").value = str(wrong)
        await _may_go(driver)
        await driver.press("enter")
        await driver.until(lambda: "Line 1 of" in driver.static("#problem"), "the wrong line")
        _field(driver, "file").value = str(file)
        await _may_go(driver)
        await driver.press("enter")
        await driver.until_text("The holiday calendar nl will be set.")
        driver.screen.query_one("#go", Button).press()
        await driver.until_screen(CalendarsScreen)
        await driver.until_text("2026-12-25 to 2027-04-27")
        assert "Next: 2026-12-25 Christmas, 2027-04-27 King's Day." in driver.static("#in-full")
        await driver.press("enter")
        await driver.until_screen(DaysDialog)
        await driver.until_text("Fri 2026-12-25  Christmas")
        await driver.press("escape")
        await driver.until_screen(CalendarsScreen)

    drive(script, InProcessClient(ready()))


def test_a_calendar_that_a_rule_uses_stays_and_the_reason_is_shown() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver, "H", CalendarsScreen)
        await driver.until_text("2026-01-01 to 2027-04-27")
        await driver.press("D")
        await driver.until_screen(ConfirmDialog)
        await driver.press("shift+tab", "enter")
        await driver.until(lambda: "nl" in driver.static("#problem"), "the refusal")
        driver.client.remove_rule("checkout-fix", RuleRequest(rule="0 19 * * * UTC except nl"))
        driver.screen.query_one("#go", Button).press()
        await driver.until_screen(CalendarsScreen)
        await driver.until_text("There are no holiday calendars.")

    client = InProcessClient(ready())
    _calendar(client)
    client.add_rule("checkout-fix", RuleRequest(rule="0 19 * * * UTC except nl"))
    drive(script, client)


@pytest.mark.parametrize("key", ["P", "H"])
def test_lists_open_from_anywhere_and_help_has_their_keys(key: str) -> None:
    async def script(driver: Driver) -> None:
        await driver.press("W")
        await driver.until_screen(RulesScreen)
        await _open(driver, key, PoliciesScreen if key == "P" else CalendarsScreen)
        await driver.press("question_mark")
        await driver.until_screen(HelpScreen)
        assert "Set policy (in the policies)" in driver.text()
        await driver.press("escape", "escape")
        await driver.until_screen(RulesScreen)

    drive(script, ruled(), size=(100, 200))
