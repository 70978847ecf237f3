"""Texts of others are text wherever they are shown, also where they would break as markup or hide what they are."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from textual.app import ComposeResult
from textual.command import CommandPalette
from textual.content import Content
from textual.notifications import Notification
from textual.widget import Widget
from textual.widgets import Button, Input, Label, OptionList, Select, Static
from textual.widgets._select import SelectOverlay

from environments.client import Client
from environments.domain.errors import InvalidInput
from environments.words import one_line
from tests.support.hostile_texts import HOSTILE as STRANGERS
from tests.support.in_process.client import InProcessClient
from tests.support.tui_driver import Driver, drive
from tests.support.tui_scenes import ready
from tui.dialogs import ConfirmDialog, Dialog
from tui.fields import ChoiceField, FormField, SwitchField, TextField
from tui.form import FormScreen
from tui.shell import Shell

HOSTILE = "[red]pay[/] [/x] [@click=app.quit]me"
MARKUP = (
    HOSTILE,
    "[bold]x",
    "[$error]x[/]",
    "[B]x[/B]",
    r"\[b]x[/b]",
    r"\\[b]x\\",
    "[[b]]",
    "a[b\\]",
    "[/",
    "[link=https://example.org]x[/link]",
    "pay\x1b[31m\x1b]0;title\x07 \x9b2J",
    "pay\u202egnp.exe\u2066\u2028\ufeff",
    "two\nlines",
)
CORPUS = (*MARKUP, " ".join(text for text in STRANGERS if len(text) < 100 and ("[" in text or not text.isprintable())))


def _fields(text: str) -> ComposeResult:
    yield ChoiceField("choice", text, [(text, 1), ("[b]other[/b]", 2)], text, value=1)
    yield TextField("typed", text, text, placeholder=text)
    yield SwitchField("switch", text, text, value=False)


class Asking(Dialog):
    """Asks with the text of a stranger everywhere."""

    def __init__(self, text: str) -> None:
        super().__init__(text, text)
        self.text = text

    def body(self) -> ComposeResult:
        """Each kind of field."""
        yield from _fields(self.text)


class Filling(FormScreen):
    """A form with the text of a stranger everywhere."""

    def __init__(self, text: str) -> None:
        super().__init__(text, text)
        self.text = text

    def action_reload(self) -> None:
        """Each kind of field."""
        self.query_one("#basics").mount(*_fields(self.text))

    def check(self, field: FormField) -> Any:
        """Finds fault with what is typed."""
        return field.value

    def edited(self, field: FormField) -> None:
        """Keeps nothing."""

    def request(self, values: dict[str, Any]) -> Callable[[Client], Any]:
        """Sends nothing."""
        raise AssertionError

    def taken(self, answer: Any) -> None:
        """Nothing was sent."""
        raise AssertionError


def _title(widget: Widget) -> str:
    title = widget._border_title
    assert isinstance(title, Content)
    assert not title.spans
    return title.plain


def _check_fields(driver: Driver, text: str) -> None:
    shown = one_line(text)
    for field in driver.screen.query(FormField):
        assert str(field.query_one(Label).content) == shown, field.key
        assert one_line(str(field.query_one(".help", Static).content)) == shown, field.key
        field.say(text)
        assert one_line(str(field.query_one(".help", Static).content)) == f"✗ {shown}", field.key
    assert driver.screen.query_one(Input).placeholder == shown
    prompt = driver.screen.query_one(SelectOverlay).get_option_at_index(0).prompt
    assert isinstance(prompt, Content)
    assert (prompt.plain, prompt.spans) == (shown, [])


def test_titles_and_choices_are_text() -> None:
    async def script(driver: Driver) -> None:
        driver.app.push_screen(Asking(HOSTILE))
        await driver.until_screen(Asking)
        await driver.until(lambda: driver.text().count(HOSTILE) >= 2, "the text in the title and in the choice")
        driver.screen.query_one(ChoiceField).control().focus()
        await driver.press("enter")
        await driver.until_text("[b]other[/b]")

    drive(script, InProcessClient(ready()), size=(100, 40))


def test_titles_buttons_and_fields_show_hostile_texts_as_they_are() -> None:
    async def script(driver: Driver) -> None:
        for text in CORPUS:
            for screen in (Asking(text), Filling(text)):
                driver.app.push_screen(screen)
                await driver.until_screen(type(screen))
                await driver.until(lambda: len(driver.screen.query(Select)) == 1, "the fields")
                frame = "#dialog" if isinstance(screen, Asking) else "#form"
                assert _title(driver.screen.query_one(frame)) == one_line(text), text
                label = driver.screen.query_one("#go", Button).label
                assert isinstance(label, Content)
                assert not label.spans, text
                _check_fields(driver, text)
                driver.app.pop_screen()

    drive(script, InProcessClient(ready()))


def test_paragraphs_and_toasts_show_hostile_texts_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    toasts: list[Notification] = []

    def notify(message: str, **given: Any) -> None:
        toasts.append(Notification(message, **{"title": "", "timeout": 1.0, **given}))

    async def script(driver: Driver) -> None:
        monkeypatch.setattr(driver.app, "notify", notify)
        for text in CORPUS:
            driver.app.push_screen(ConfirmDialog(text, "Go", text, lambda _: None, text))
            await driver.until_screen(ConfirmDialog)
            paragraph = driver.screen.query_one(".paragraph", Static).visual
            assert isinstance(paragraph, Content)
            assert (one_line(paragraph.plain), paragraph.spans) == (one_line(text), [])
            driver.app.pop_screen()
            for say in (driver.app.say, partial(_complain, driver.app)):
                toasts.clear()
                say(text)
                assert not toasts[0].markup
                assert one_line(toasts[0].title or one_line(text)) == one_line(text)
                assert one_line(text) in one_line(toasts[0].message)

    drive(script, InProcessClient(ready()))


def test_the_palette_shows_hostile_texts_as_they_are() -> None:
    client = InProcessClient(ready())

    async def script(driver: Driver) -> None:
        await driver.until(lambda: driver.app.known, "the environments")
        client.go_away()  # so that no answer replaces what the test makes known
        await driver.until(lambda: not driver.app.connection.here, "the end of the connection")
        for text in MARKUP:
            driver.app.known = {ready().id: ready().model_copy(update={"owner": text})}
            await driver.press("colon")
            await driver.until_screen(CommandPalette)
            await driver.write("Go to checkout")
            options = driver.screen.query_one(OptionList)
            await driver.until(partial(_prompts, options, one_line(text)), text)
            await driver.press("escape")
            await driver.until(lambda: not isinstance(driver.screen, CommandPalette), "the list")

    drive(script, client)


def _complain(shell: Shell, text: str) -> None:
    shell.complain(text, InvalidInput(text, hint=text))


def _prompts(options: OptionList, text: str) -> bool:
    prompts = [options.get_option_at_index(number).prompt for number in range(options.option_count)]
    return any(isinstance(prompt, Content) and prompt.plain.endswith(f", {text}") for prompt in prompts)
