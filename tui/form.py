"""A form on the whole screen: validates while somebody types, sends once, and never loses what was typed."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Footer, Input, Static

from environments.client import Client
from environments.domain.errors import CalvinverseError
from environments.words import one_line
from tui.bars import AwayBanner, TopBar
from tui.dialogs import problem_text
from tui.fields import FormField
from tui.schema import FieldProblem
from tui.screen import AppScreen


class FormScreen(AppScreen):
    """The frame of a form. Subclasses define the fields, validate each, and make the request."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "send", "Send", key_display="^s"),
        Binding("escape", "leave", "Back", key_display="esc"),
        Binding("down", "app.focus_next", "Next field", key_display="↓"),
        Binding("up", "app.focus_previous", "Previous field", key_display="↑"),
        Binding("ctrl+r", "reload", "Reload", show=False),
        Binding("ctrl+q", "app.quit", "Quit", show=False),
    ]
    FIELD_OF: ClassVar[dict[str, str]] = {}
    """Error code of the service → key of the field that the error is about."""

    def __init__(self, title: str, verb: str) -> None:
        super().__init__()
        self._title_text = title
        self._verb = verb
        self._sending = False

    def compose(self) -> ComposeResult:
        """Top line, banner, the form with its buttons, keys."""
        yield TopBar(id="top")
        yield AwayBanner(id="away", markup=False)
        with Vertical(id="form") as form:
            form.border_title = Content(one_line(self._title_text))
            yield Static(id="word", markup=False)
            with VerticalScroll(id="fields", can_focus=False):
                yield Vertical(id="basics")
                yield Vertical(id="parameters")
            yield Static(id="problem", markup=False)
            with Horizontal(id="buttons"):
                yield Button(Content(self._verb), id="go", variant="primary", compact=True)
                yield from self.more_buttons()
                yield Button("Back (esc)", id="cancel", compact=True)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Requests what the fields are made from."""
        self.query_one("#problem").display = False
        self.query_one("#word", Static).update("Asking the service…")
        self.tick()
        self.action_reload()

    # --- what a form of one kind does --------------------------------------------------------------------------------

    def action_reload(self) -> None:
        """Requests what the fields are made from; a form that already has fields stays as it is."""
        raise NotImplementedError

    def more_buttons(self) -> ComposeResult:
        """Additional buttons between the first and the last one."""
        yield from ()

    def check(self, field: FormField) -> Any:
        """The value of a field; may explain its effect. Raises `FieldProblem`."""
        raise NotImplementedError

    def edited(self, field: FormField) -> None:
        """Saves what was typed."""
        raise NotImplementedError

    def request(self, values: dict[str, Any]) -> Callable[[Client], Any]:
        """The call that sends the values, which are given by the fields' keys."""
        raise NotImplementedError

    def taken(self, answer: Any) -> None:
        """The service accepted the request; `answer` is the result of the call."""
        raise NotImplementedError

    # --- what all do -------------------------------------------------------------------------------------------------

    def fields(self) -> list[FormField]:
        """All fields, in order."""
        return [found for found in self.query(FormField) if found.is_mounted]

    def state_changed(self) -> None:
        """Updates top line and banner; a form without fields requests them again once the service is back."""
        self.tick()
        if self.shell.connection.here and not self.fields():
            self.action_reload()

    def word(self, text: Content | str) -> None:
        """Shows a text above the fields."""
        word = self.query_one("#word", Static)
        word.display = bool(str(text))
        word.update(text)

    def complain(self, problem: Content | None) -> None:
        """Shows an error below the fields, or hides it."""
        line = self.query_one("#problem", Static)
        line.display = problem is not None
        line.update(problem or "")

    def on_form_field_edited(self, event: FormField.Edited) -> None:
        """Validates the field, and hides the error of the last attempt."""
        event.stop()
        self.edited(event.field)
        self.judge(event.field)
        self.complain(None)

    def judge(self, field: FormField) -> Any:
        """The value of a field; None, with the error shown beside the field, if it is not valid."""
        try:
            value = self.check(field)
        except FieldProblem as problem:
            field.say(str(problem))
            return None
        if field.has_class("-wrong"):
            field.say("")
            self.check(field)
        return value

    def action_send(self) -> None:
        """Sends the form if every field is valid; else focuses the first one that isn't."""
        self.submit(self.request, self.taken, "#go", self._verb)

    def submit(
        self,
        request: Callable[[dict[str, Any]], Callable[[Client], Any]],
        taken: Callable[[Any], None],
        at: str,
        verb: str,
    ) -> None:
        """Sends the request for the values; `taken` gets the answer. `at` is the button, `verb` its label."""
        if self._sending or not self.fields():
            return
        values = {found.key: self.judge(found) for found in self.fields()}
        wrong = [found for found in self.fields() if found.has_class("-wrong")]
        if wrong:
            count = "One field needs" if len(wrong) == 1 else f"{len(wrong)} fields need"
            self.complain(Content.assemble((f"✗ {count} another value; nothing was sent.", "$error")))
            wrong[0].control().focus()
            return
        why_not = self.shell.why_unavailable()
        if why_not is not None:
            self.complain(Content.assemble((f"✗ {why_not}", "$error"), "\n  What you typed is kept."))
            return
        self._sending = True
        button = self.query_one(at, Button)
        button.label = "Sending…"
        self.complain(None)
        call = request(values)
        client = self.shell.client

        def done(answer: object) -> None:
            self._sending = False
            button.label = Content(verb)
            taken(answer)

        def failed(error: CalvinverseError) -> None:
            self._sending = False
            button.label = Content(verb)
            self.refused(error)

        self.ask(lambda: call(client()), done, failed)

    def refused(self, error: CalvinverseError) -> None:
        """Shows an error of the service, beside the field that it is about if that is known."""
        self.complain(problem_text(error))
        key = self.FIELD_OF.get(error.code)
        named = error.details.get("by_name")
        blamed: Iterable[tuple[str, str]] = [(key, error.message)] if key else []
        if isinstance(named, dict):
            blamed = [(f"parameter.{name}", str(why)) for name, why in named.items()]
        for number, (where, why) in enumerate(blamed):
            for found in self.fields():
                if found.key == where:
                    found.say(why)
                    if number == 0:
                        found.control().focus()

    def action_leave(self) -> None:
        """Closes the form; the draft is kept."""
        self.dismiss()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The buttons do the same as the keys."""
        event.stop()
        if event.button.id == "go":
            self.action_send()
        elif event.button.id == "cancel":
            self.action_leave()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter moves the focus to the next field, and from the last one to the button."""
        event.stop()
        self.focus_next()
