"""Triggers: listed for their owner and on an environment, added, paused, resumed, removed, refused with a reason."""

import pytest
from textual.widgets import Button, Checkbox, Input, Select, Static

from environments.domain.access import EnvironmentRole
from environments.domain.errors import Forbidden
from environments.domain.received_event import Source
from environments.domain.trigger import TriggerAction
from environments.domain.trigger_rules import MAKES
from environments.service.roles import actions_of, short
from environments.wire.triggers import TriggerState
from tests.support.in_process.client import InProcessClient
from tests.support.tui_driver import Driver, drive
from tests.support.tui_event_scenes import put_events, put_triggers
from tests.support.tui_scenes import ready
from tui.add_trigger_dialog import AddTriggerDialog
from tui.dialogs import ConfirmDialog
from tui.environment_list import ListScreen
from tui.fields import FormField
from tui.trigger_dialog import TriggerDialog
from tui.triggers import EnvironmentTriggersScreen, TriggersScreen

SMALL = (80, 24)


def _triggered() -> InProcessClient:
    client = InProcessClient(ready())
    put_triggers(client)
    return client


def _calls(driver: Driver, name: str) -> list[tuple[object, ...]]:
    return [call[1:] for call in driver.client.calls if call[0] == name]


def _control(driver: Driver, key: str) -> Input | Select[int]:
    control = next(field for field in driver.screen.query(FormField) if field.key == key).control()
    assert isinstance(control, Input | Select)
    return control


async def _add(driver: Driver, name: str, on: Source, does: TriggerAction) -> None:
    await _on_environment(driver)
    await driver.press("a")
    await driver.until_screen(AddTriggerDialog)
    _control(driver, "name").value = name
    _control(driver, "on").value = list(Source).index(on)
    _control(driver, "does").value = [one for one in TriggerAction if one not in MAKES].index(does)


def _help(driver: Driver, key: str) -> str:
    field = next(field for field in driver.screen.query(FormField) if field.key == key)
    return str(field.query_one(".help", Static).content)


async def _go(driver: Driver) -> None:
    await driver.until(lambda: not driver.screen.query_one("#go", Button).disabled, "the button")
    driver.screen.query_one("#go", Button).press()


def _shown(driver: Driver) -> set[str]:
    return {field.key for field in driver.screen.query(FormField) if field.display}


async def _on_environment(driver: Driver) -> None:
    await driver.until(lambda: driver.app.role and driver.app.known, "the role")
    await driver.press("F")
    await driver.until_screen(EnvironmentTriggersScreen)
    await driver.until(lambda: driver.screen.things is not None, "the triggers")  # type: ignore[attr-defined]


async def _select(driver: Driver, name: str) -> None:
    screen = driver.screen
    assert isinstance(screen, TriggersScreen)
    await driver.press("home")
    for _ in screen.things or ():
        if screen.selected is not None and screen.selected.name == name:
            return
        await driver.press("down")
    raise AssertionError(f"{name} isn't listed")


def test_those_of_an_environment_are_listed_with_its_templates_and_what_they_did() -> None:
    async def script(driver: Driver) -> None:
        await _on_environment(driver)
        await driver.until_text("Triggers of checkout-fix — 3")
        assert [one.name for one in driver.screen.things] == ["over-budget", "end-with-pr", "rest"]  # type: ignore[attr-defined]
        assert "in the template web" in driver.text()
        assert "It stands in the template web" in driver.static("#in-full")
        await _select(driver, "end-with-pr")
        await driver.until(lambda: "because of evt-closed" in driver.static("#in-full"), "what it did")
        assert "✓ done     destroy checkout-fix" in driver.static("#in-full")
        await driver.press("d")
        await driver.until_screen(TriggerDialog)
        await driver.until(lambda: "evt-closed" in driver.static("#told"), "what it did")
        assert 'repository = "acme/shop"' in driver.static("#told")
        assert "[when]\nnumber = 12" in driver.static("#told")
        await driver.press("escape", "T")
        await driver.until_text("Triggers — 3")
        assert "◻ paused" in driver.text()
        await driver.press("escape")
        await driver.until_screen(ListScreen)

    client = InProcessClient(ready())
    put_events(client)
    drive(script, client, size=SMALL)


def test_without_triggers_each_list_says_how_to_set_one() -> None:
    async def script(driver: Driver) -> None:
        await _on_environment(driver)
        await driver.until_text("No trigger stands on checkout-fix.")
        assert "calvinverse trigger add checkout-fix done --on nomad.job" in driver.text()
        await driver.press("p")
        assert driver.said()[-1] == "No trigger is selected."
        await driver.press("T")
        await driver.until_text("No trigger acts for you.")
        assert "calvinverse trigger set FILE" in driver.text()
        await driver.press("a")
        assert "F on an environment shows its triggers" in driver.said()[-1]

    drive(script, InProcessClient(ready()), size=SMALL)


def test_one_is_paused_after_a_question_resumed_at_once_and_removed_after_a_question() -> None:
    async def script(driver: Driver) -> None:
        await _on_environment(driver)
        await _select(driver, "rest")
        id = driver.screen.selected.id  # type: ignore[attr-defined]
        await driver.press("r")
        assert driver.said()[-1] == "rest acts already."
        await driver.press("p")
        await driver.until_screen(ConfirmDialog)
        await driver.press("enter")  # the button that does nothing has the focus
        await driver.until_screen(EnvironmentTriggersScreen)
        assert _calls(driver, "change_trigger") == before
        await driver.press("p")
        await driver.until_screen(ConfirmDialog)
        assert "What happens meanwhile is not made up for." in driver.screen.query_one(".paragraph").content  # type: ignore[attr-defined]
        await driver.pilot.click("#go")
        await driver.until_screen(EnvironmentTriggersScreen)
        await driver.until_text("◻ paused")
        await driver.press("p")
        assert driver.said()[-1] == "rest is paused already."
        await driver.press("r")
        await driver.until(lambda: "rest acts again." in driver.said(), "the answer")
        await driver.until(lambda: driver.screen.selected.state is TriggerState.ACTIVE, "the state")  # type: ignore[attr-defined]
        await driver.press("D")
        await driver.until_screen(ConfirmDialog)
        await driver.pilot.click("#go")
        await driver.until_text("Triggers of checkout-fix — 2")
        assert _calls(driver, "remove_trigger") == [(id,)]

    client = _triggered()
    before = [call[1:] for call in client.calls if call[0] == "change_trigger"]
    drive(script, client, size=SMALL)


def test_one_of_a_template_is_not_changed_here() -> None:
    async def script(driver: Driver) -> None:
        await _on_environment(driver)
        for key in ("p", "r", "D"):
            await driver.press(key)
            assert driver.said()[-1].startswith("It stands in the template web,")
        await driver.press("d")
        await driver.until_screen(TriggerDialog)
        assert "over = 20.0" in driver.static("#told")
        assert not driver.screen.query_one("#go").display

    drive(script, _triggered(), size=SMALL)


@pytest.mark.parametrize("key", ["a", "p", "r", "D"])
def test_whose_role_does_not_allow_it_is_told_before_anything_is_asked(key: str) -> None:
    async def script(driver: Driver) -> None:
        await _on_environment(driver)
        await _select(driver, "rest")
        view = driver.app.known[ready().id]
        may = tuple(map(short, actions_of(EnvironmentRole.VIEWER)))
        driver.app.known[view.id] = view.model_copy(update={"role": EnvironmentRole.VIEWER, "may": may})
        await driver.press(key)
        assert "you are viewer of checkout-fix, and this takes the role operator. Ask ada." in driver.said()[-1]

    drive(script, _triggered(), size=SMALL)


def test_what_the_service_refuses_is_said() -> None:
    async def script(driver: Driver) -> None:
        await driver.until(lambda: driver.app.role, "the role")
        await driver.press("T")
        await driver.until_screen(TriggersScreen)
        await driver.until_text("nightly")
        await _select(driver, "nightly")
        driver.client.refuse = Forbidden("The trigger [nightly] acts for grace.", hint="Ask her.")
        await driver.press("r")
        await driver.until(lambda: any("acts for grace" in said for said in driver.said()), "the refusal")
        assert "The trigger [nightly] acts for grace.\nAsk her." in driver.said()

    drive(script, _triggered(), size=SMALL)


def test_one_is_added_by_a_form_that_shows_what_the_choice_needs() -> None:
    async def script(driver: Driver) -> None:
        await _on_environment(driver)
        await driver.press("a")
        await driver.until_screen(AddTriggerDialog)
        assert driver.screen.query_one("#go", Button).disabled
        assert _shown(driver) == {"name", "on", "kinds", "when", "does"}
        _control(driver, "on").value = list(Source).index(Source.PULL_REQUEST)
        _control(driver, "does").value = 4  # extend
        await driver.until(lambda: "repository" in _shown(driver) and "by" in _shown(driver), "their fields")
        assert "closed, labelled, merged" in driver.text()
        assert "give it a name" in driver.static("#outcome")
        _control(driver, "name").value = "longer"
        _control(driver, "kinds").value = "puhsed"
        _control(driver, "when").value = "number=12; base_branch^=rel"
        _control(driver, "webhook").value = "forge"
        _control(driver, "repository").value = "acme/shop"
        _control(driver, "by").value = "soon"
        await driver.until_text("✗ by: 'soon' is not a duration")
        _control(driver, "by").value = "2h"
        await driver.until_text("✗ 'puhsed' never happens")
        assert driver.screen.query_one("#go", Button).disabled
        _control(driver, "kinds").value = "pushed"
        await driver.until(lambda: not driver.screen.query_one("#go", Button).disabled, "the button")
        assert "On git.pull_request pushed, if it is about checkout-fix and the conditions hold" in driver.static(
            "#outcome"
        )
        driver.screen.query_one("#go", Button).press()
        await driver.until_screen(EnvironmentTriggersScreen)
        wanted = {
            "name": "longer",
            "on": "git.pull_request",
            "kinds": ["pushed"],
            "when": {"number": "12", "base_branch": {"starts_with": "rel"}},
            "action": "extend",
            "by": "2h",
            "webhook": "forge",
            "repository": "acme/shop",
        }
        assert _calls(driver, "set_trigger")[-1] == (wanted, ready().id)
        assert "The trigger longer stands on checkout-fix. It acts for you." in driver.said()
        await driver.until_text("longer")

    drive(script, _triggered(), size=(100, 40))


def test_what_is_typed_stays_when_the_service_refuses_it() -> None:
    async def script(driver: Driver) -> None:
        await _on_environment(driver)
        await driver.press("a")
        await driver.until_screen(AddTriggerDialog)
        _control(driver, "name").value = "rest"
        _control(driver, "on").value = list(Source).index(Source.JOB)
        _control(driver, "does").value = list(TriggerAction).index(TriggerAction.STOP) - 1
        _control(driver, "when").value = "status"
        await driver.until_text("'status' is no condition.")
        _control(driver, "when").value = ""
        await driver.until(lambda: not driver.screen.query_one("#go", Button).disabled, "the button")
        driver.screen.query_one("#go", Button).press()
        await driver.until(lambda: "There is a trigger 'rest'" in driver.static("#problem"), "the refusal")
        assert _control(driver, "name").value == "rest"

    drive(script, _triggered(), size=SMALL)


def test_idle_without_heartbeats_is_one_of_its_measures() -> None:
    async def script(driver: Driver) -> None:
        await _add(driver, "forgotten", Source.IDLE, TriggerAction.STOP)
        await driver.until(lambda: {"for", "cpu", "bytes", "heartbeat"} <= _shown(driver), "the fields of idle")
        _control(driver, "for").value = "2h"
        await driver.until(lambda: "it needs a measure" in driver.static("#outcome"), "what is missing")
        driver.screen.query_one(Checkbox).value = True
        await _go(driver)
        await driver.until_screen(EnvironmentTriggersScreen)
        wanted = {"name": "forgotten", "on": "idle", "for": "2h", "heartbeat": True, "action": "stop"}
        assert _calls(driver, "set_trigger")[-1] == (wanted, ready().id)

    drive(script, _triggered(), size=(100, 40))


def test_an_update_gives_parameters_of_the_types_that_the_template_wants() -> None:
    async def script(driver: Driver) -> None:
        await _add(driver, "bigger", Source.JOB, TriggerAction.UPDATE)
        await driver.until(lambda: "parameters" in _shown(driver), "the parameters")
        field = _control(driver, "parameters")
        field.value = "replicas"
        await driver.until(lambda: "'replicas' is no parameter." in _help(driver, "parameters"), "what is wrong")
        assert driver.screen.query_one("#go", Button).disabled
        field.value = "replicas=many"
        await _go(driver)
        await driver.until(lambda: "parameters.replicas: 'many'" in _help(driver, "parameters"), "what is wrong")
        field.value = "replica=2"
        await driver.until(lambda: not _help(driver, "parameters").startswith("✗"), "the new value")
        await _go(driver)
        await driver.until(lambda: "has no such parameter" in _help(driver, "parameters"), "what the service says")
        assert "replicas" in driver.static("#problem")
        field.value = "replicas=2, message=Hello, you, branch={{ event.job }}"
        await driver.until(lambda: not driver.screen.query_one("#problem").display, "no error")
        await _go(driver)
        await driver.until_screen(EnvironmentTriggersScreen)
        (wanted, place) = _calls(driver, "set_trigger")[-1]
        assert place == ready().id
        assert isinstance(wanted, dict)
        assert wanted["parameters"] == {"replicas": 2, "message": "Hello, you", "branch": "{{ event.job }}"}

    drive(script, _triggered(), size=(100, 40))
