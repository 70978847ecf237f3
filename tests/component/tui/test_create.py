"""The form: made from the template's schema, checked before anything is sent, and nothing typed is ever lost."""

from typing import Any

from textual.widgets import Button, Input

from environments.domain.errors import InvalidParameters, NameTaken, ServiceUnavailable
from environments.wire.environments import CreateRequest
from tests.support.in_process.client import InProcessClient
from tests.support.tui_driver import Driver, drive
from tests.support.tui_scenes import everything
from tui.create import CreateScreen
from tui.environment_detail import DetailScreen
from tui.environment_list import ListScreen
from tui.fields import FormField
from tui.plan_dialog import PlanDialog
from tui.update import UpdateScreen


def _field(driver: Driver, key: str) -> FormField:
    return next(found for found in driver.screen.query(FormField) if found.key == key)


def _help(driver: Driver, key: str) -> str:
    return str(_field(driver, key).query_one(".help").content)  # type: ignore[attr-defined]  # it is a Static


async def _fill(driver: Driver, key: str, text: str) -> None:
    field = _field(driver, key).query_one(Input)
    field.focus()
    field.value = text
    await driver.pilot.pause()


async def _open(driver: Driver) -> None:
    await driver.press("c")
    await driver.until_screen(CreateScreen)
    await driver.until(
        lambda: any(found.key == "parameter.branch" for found in driver.screen.query(FormField)), "fields"
    )
    await driver.until(lambda: "expires" in _help(driver, "lifetime"), "the deadline")


def _created(client: InProcessClient) -> list[CreateRequest]:
    return [call[1] for call in client.calls if call[0] == "create"]


def test_a_filled_form_makes_an_environment_and_shows_it() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await _fill(driver, "name", "my-first")
        await _fill(driver, "parameter.branch", "main")
        await _fill(driver, "parameter.replicas", "3")
        await _fill(driver, "lifetime", "2h")
        await driver.press("ctrl+s")
        await driver.until_screen(DetailScreen)
        assert _created(driver.client) == [
            CreateRequest(name="my-first", template="web", parameters={"branch": "main", "replicas": 3}, ttl="2h")
        ]
        assert "my-first" in driver.text()

    drive(script, everything(), size=(100, 40))


def test_every_fault_is_named_by_its_field_before_anything_is_sent() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await _fill(driver, "name", "Bad_Name")
        await _fill(driver, "parameter.replicas", "21")
        await _fill(driver, "lifetime", "30d")
        await driver.press("ctrl+s")
        await driver.until(lambda: "4 fields need another value" in driver.static("#problem"), "the complaint")
        assert "can't be an environment's name" in _help(driver, "name")
        assert _help(driver, "parameter.replicas") == "✗ 20 is the most."
        assert "at most 14d" in _help(driver, "lifetime")
        assert _help(driver, "parameter.branch") == "✗ A value is needed."
        await _fill(driver, "parameter.replicas", "x")
        assert _help(driver, "parameter.replicas") == "✗ This is not a whole number."
        await _fill(driver, "parameter.replicas", "5")
        assert _help(driver, "parameter.replicas") == "How many · 1 to 20"
        assert _created(driver.client) == []

    drive(script, everything(), size=(100, 40))


def test_a_name_that_is_taken_is_seen_while_typing() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await _fill(driver, "name", "shop")
        await driver.until(lambda: "There is an environment 'shop' already." in _help(driver, "name"), "the word")

    drive(script, everything())


def test_the_lifetime_shows_the_deadline_in_the_users_zone() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        assert "Mon 23 Nov 18:00 CET, in 8h00m" in _help(driver, "lifetime")
        await _fill(driver, "lifetime", "90m")
        assert "Mon 23 Nov 11:30 CET, in 1h30m" in _help(driver, "lifetime")
        await _fill(driver, "lifetime", "2026-11-25T18:00")
        assert "Wed 25 Nov 18:00 CET" in _help(driver, "lifetime")
        await _fill(driver, "lifetime", "2020-01-01")
        assert "has passed already" in _help(driver, "lifetime")
        await _fill(driver, "lifetime", "soon")
        assert "'soon' is not a duration." in _help(driver, "lifetime")

    drive(script, everything())


def test_what_the_service_refuses_is_shown_and_what_was_typed_stays() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await _fill(driver, "name", "my-first")
        await _fill(driver, "parameter.branch", "main")
        driver.client.refuse = NameTaken("There is an environment 'my-first' already.")
        await driver.press("ctrl+s")
        await driver.until(lambda: "already" in driver.static("#problem"), "the refusal")
        assert "Choose another name" in driver.static("#problem")
        assert "already" in _help(driver, "name")
        assert _field(driver, "parameter.branch").value == "main"
        driver.client.refuse = InvalidParameters("No.", details={"by_name": {"branch": "there is no such branch"}})
        await driver.press("ctrl+s")
        await driver.until(lambda: "no such branch" in _help(driver, "parameter.branch"), "the blame")
        assert _field(driver, "name").value == "my-first"

    drive(script, everything())


def test_leaving_keeps_what_was_typed() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await _fill(driver, "name", "later")
        await _fill(driver, "parameter.message", "Hi")
        await driver.press("escape")
        await driver.until_screen(ListScreen)
        await _open(driver)
        assert _field(driver, "name").value == "later"
        assert _field(driver, "parameter.message").value == "Hi"

    drive(script, everything())


def test_sending_again_after_a_lost_answer_is_the_same_request() -> None:
    keys: list[Any] = []

    class Recording(InProcessClient):
        def create(self, request: CreateRequest, *, idempotency_key: str | None = None) -> Any:
            keys.append(idempotency_key)
            return super().create(request, idempotency_key=idempotency_key)

    async def script(driver: Driver) -> None:
        made = iter(["first", "second", "third"])
        driver.app.make_key = lambda: next(made)
        await _open(driver)
        await _fill(driver, "name", "once")
        await _fill(driver, "parameter.branch", "main")
        for _ in range(2):
            driver.client.refuse = ServiceUnavailable("The connection was dropped.")
            await driver.press("ctrl+s")
            await driver.until(lambda: "dropped" in driver.static("#problem"), "the error")
        driver.client.refuse = ServiceUnavailable("The connection was dropped.")
        await _fill(driver, "parameter.branch", "other")
        await driver.press("ctrl+s")
        await driver.until(lambda: len(keys) == 3, "the third")
        assert keys == ["first", "first", "second"]

    drive(script, Recording())


def test_secrets_are_not_shown_while_typed_and_choices_are_offered() -> None:
    client = InProcessClient()
    client.push_template(
        """
        template = { name = "web", version = "2" }
        parameters.key = { type = "string", writeOnly = true, minLength = 8 }
        parameters.size = { enum = ["small", "large"], default = "small" }
        parameters.ratio = { type = "number", default = 0.5, maximum = 1 }

        [[steps]]
        name = "settings"
        uses = "consul.kv"
        """
    )

    async def script(driver: Driver) -> None:
        await driver.press("c")
        await driver.until_screen(CreateScreen)
        await driver.until(lambda: len(driver.screen.query(FormField)) == 6, "the fields")
        await _fill(driver, "name", "kept")
        await _fill(driver, "parameter.key", "hunter2")
        assert _help(driver, "parameter.key") == "✗ At least 8 characters are needed."
        await _fill(driver, "parameter.key", "hunter2hunter2")
        assert "hunter2" not in driver.text()
        assert _field(driver, "parameter.size").value == "small"
        await _fill(driver, "parameter.ratio", "0.25")
        await driver.press("ctrl+s")
        await driver.until_screen(DetailScreen)
        assert _created(client)[0].parameters == {"key": "hunter2hunter2", "ratio": 0.25}

    drive(script, client, size=(100, 40))


def test_no_templates_teaches_how_to_push_one() -> None:
    client = InProcessClient()
    client.delete_template("web")

    async def script(driver: Driver) -> None:
        await driver.press("c")
        await driver.until_text("calvinverse template push <folder>")

    drive(script, client)


def test_update_begins_with_what_is_there_and_shows_its_plan_before_it_is_applied() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("down", "u")
        await driver.until_screen(UpdateScreen)
        await driver.until(lambda: len(driver.screen.query(FormField)) == 4, "the fields")
        assert _field(driver, "parameter.branch").value == "main"
        await _fill(driver, "parameter.message", "Changed")
        await driver.press("ctrl+s")
        await driver.until_screen(PlanDialog)
        await driver.until_text("value: Hello → Good morning")
        request = next(call[2] for call in driver.client.calls if call[0] == "plan")
        assert request.parameters == {"message": "Changed"}
        await driver.press("escape")
        await driver.until_screen(UpdateScreen)
        assert _field(driver, "parameter.message").value == "Changed"
        assert not [call for call in driver.client.calls if call[0] in ("update", "apply_plan")]
        await driver.press("ctrl+s")
        await driver.until_screen(PlanDialog)
        await driver.press("shift+tab", "enter")
        await driver.until_screen(DetailScreen)
        assert ("apply_plan", "plan-2") in driver.client.calls

    drive(script, everything(), size=(100, 40))


def test_a_plan_is_shown_before_anything_is_made_and_applied_as_it_is() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver)
        await _fill(driver, "name", "my-first")
        await _fill(driver, "parameter.branch", "main")
        await driver.press("ctrl+p")
        await driver.until_screen(PlanDialog)
        assert "my-first" not in driver.client.views
        await driver.press("escape")
        await driver.until_screen(CreateScreen)
        assert _field(driver, "name").value == "my-first"
        await driver.press("ctrl+p")
        await driver.until_screen(PlanDialog)
        driver.screen.query_one("#go", Button).press()
        await driver.until_screen(DetailScreen)
        assert "my-first" in driver.text()
        assert _created(driver.client) == []
        assert [call[0] for call in driver.client.calls].count("apply_plan") == 1

    drive(script, everything(), size=(80, 24))
