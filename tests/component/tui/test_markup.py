"""Texts of others are text in titles and choices, too, even where they would break as markup."""

from textual.app import ComposeResult

from tests.support.in_process.client import InProcessClient
from tests.support.tui_driver import Driver, drive
from tests.support.tui_scenes import ready
from tui.dialogs import Dialog
from tui.fields import ChoiceField

HOSTILE = "[red]pay[/] [/x] [@click=app.quit]me"


class Asking(Dialog):
    """Asks for one of the texts of a stranger."""

    def body(self) -> ComposeResult:
        """The choice."""
        yield ChoiceField("choice", "Which", [(HOSTILE, 1), ("[b]other[/b]", 2)], value=1)


def test_titles_and_choices_are_text() -> None:
    async def script(driver: Driver) -> None:
        driver.app.push_screen(Asking(HOSTILE, "Go"))
        await driver.until_screen(Asking)
        await driver.until(lambda: driver.text().count(HOSTILE) == 2, "the text in the title and in the choice")
        driver.screen.query_one(ChoiceField).control().focus()
        await driver.press("enter")
        await driver.until_text("[b]other[/b]")

    drive(script, InProcessClient(ready()), size=(100, 30))
