"""The table of environments: live, in order, and steady under the hand."""

from datetime import timedelta

from environments.domain.environment import EventType
from environments.domain.lifecycle import State
from tests.fakes.plans import NOW
from tests.support.in_process.client import InProcessClient
from tests.support.tui_driver import Driver, drive
from tests.support.tui_scenes import clock, everything, many
from tests.support.views import environment_view
from tui.clock import Clock
from tui.create import CreateScreen
from tui.environment_list import ListScreen
from tui.table import EnvironmentTable


def _table(driver: Driver) -> EnvironmentTable:
    return driver.app.query_one(EnvironmentTable)


def _names(driver: Driver) -> list[str]:
    return [view.name for view in _table(driver).views]


def test_state_is_said_with_glyph_and_word_and_a_warned_one_is_marked() -> None:
    async def script(driver: Driver) -> None:
        text = driver.text()
        for said in ("◐ deploying", "● ready", "✗ failed", "⊗ destroy failed", "! 12m40s", "never"):
            assert said in text, said

    drive(script, everything())


def test_a_change_elsewhere_appears_by_itself_and_the_selection_stays() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("down", "down")
        assert _table(driver).selected is not None
        chosen = _table(driver).selected.name  # type: ignore[union-attr]  # asserted above
        driver.client.put(environment_view("aardvark", State.REQUESTED))
        driver.client.tell(EventType.ENVIRONMENT_REQUESTED, "aardvark")
        await driver.until(lambda: "aardvark" in _names(driver), "the new one")
        assert _table(driver).selected.name == chosen  # type: ignore[union-attr]  # see above
        driver.client.put(environment_view("aardvark", State.READY))
        driver.client.tell(EventType.ENVIRONMENT_STATE, "aardvark", data={"state": "ready"})
        await driver.until_text("aardvark          ● ready")

    drive(script, everything())


def test_one_that_ended_leaves_the_table_and_is_shown_on_request() -> None:
    async def script(driver: Driver) -> None:
        driver.client.put(environment_view("old-branch", State.DESTROYED, destroyed_at=NOW))
        driver.client.tell(EventType.ENVIRONMENT_STATE, "old-branch", data={"state": "destroyed"})
        await driver.until(lambda: "old-branch" not in _names(driver), "its leaving")
        await driver.press("x")
        await driver.until(lambda: "old-branch" in _names(driver), "its coming back")
        await driver.until_text("○ destroyed")

    drive(script, everything())


def test_filter_narrows_while_typing_and_esc_clears_it() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("slash")
        await driver.write("grace ready")
        await driver.until(lambda: _names(driver) == ["demo-friday"], "the filter")
        await driver.press("escape")
        await driver.until(lambda: len(_names(driver)) == 8, "all of them")
        await driver.press("slash")
        await driver.write("zzz")
        await driver.until_text("Nothing matches")

    drive(script, everything())


def test_sorting_goes_through_the_columns_and_turns_round() -> None:
    async def script(driver: Driver) -> None:
        for _ in range(5):
            await driver.press("o")
        assert _table(driver).sort_key == "left"
        assert _names(driver)[0] == "stuck"
        await driver.press("O")
        assert _names(driver)[0] == "meta"

    drive(script, everything())


def test_time_left_counts_down_with_the_clock() -> None:
    moment = [NOW]

    async def script(driver: Driver) -> None:
        await driver.until_text("12m40s")
        moment[0] = NOW + timedelta(seconds=100)
        await driver.until_text("11m00s")

    drive(script, everything(), at=Clock(now=lambda: moment[0], zone=clock().zone))


def test_nothing_there_teaches_the_first_step() -> None:
    async def script(driver: Driver) -> None:
        await driver.until_text("There are no environments yet.")
        assert "calvinverse env create my-first --template web" in driver.text()
        await driver.press("e")
        await driver.until(lambda: "No environment is selected." in driver.said(), "the word")
        await driver.press("c")
        await driver.until_screen(CreateScreen)

    drive(script, InProcessClient())


def test_a_thousand_environments_scroll_and_keep_their_place() -> None:
    async def script(driver: Driver) -> None:
        table = _table(driver)
        await driver.press("end")
        assert table.selected is not None
        assert table.selected.name == "env-00999"
        await driver.until_text("env-00999")
        await driver.press("pageup", "pageup")
        chosen, top = table.selected.name, table.scroll_offset.y
        driver.client.put(environment_view("a-first-one"))
        driver.client.tell(EventType.ENVIRONMENT_REQUESTED, "a-first-one")
        await driver.until(lambda: len(table.views) == 1001, "one more")
        assert table.selected.name == chosen
        assert table.scroll_offset.y == top + 1

    drive(script, many(1000))


def test_eighty_columns_hold_what_matters() -> None:
    async def script(driver: Driver) -> None:
        text = driver.text()
        assert all(len(line) == 80 for line in text.split("\n"))
        for said in ("checkout-fix", "● ready", "web", "ada", "5h55m", "q Quit"):
            assert said in text, said

    drive(script, everything(), size=(80, 24))


def test_forty_columns_still_show_name_state_and_time_left() -> None:
    async def script(driver: Driver) -> None:
        for said in ("checkout", "● ready", "5h55m"):
            assert said in driver.text(), said

    drive(script, everything(), size=(44, 16))


def test_what_it_shows_cannot_command_the_terminal() -> None:
    async def script(driver: Driver) -> None:
        await driver.until_text("evil")
        assert "\x1b" not in driver.text()

    drive(script, InProcessClient(environment_view("evil", owner="\x1b[2Jeve")))


def test_back_on_the_first_screen_stays_there() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("escape")
        assert isinstance(driver.screen, ListScreen)

    drive(script, everything())
