"""Dialogs: each says what will happen, sends the request, and keeps what was typed when the request fails."""

from collections.abc import Callable
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from environments.client import Client
from environments.domain.errors import CalvinverseError
from environments.wire.environments import EnvironmentView
from environments.words import clean, one_line
from tui.fields import FormField
from tui.shell import UsesShell

T = TypeVar("T")


def problem_text(error: CalvinverseError) -> Content:
    """One sentence and a hint."""
    return Content.assemble((f"✗ {clean(error.message)}", "bold $error"), f"\n  {clean(error.hint)}")


class Dialog(UsesShell, ModalScreen[bool]):
    """A question over the screen. Esc closes it without doing anything."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back", show=False),
        Binding("pageup", "scroll_body(-5)", show=False),
        Binding("pagedown", "scroll_body(5)", show=False),
    ]
    dangerous: ClassVar[bool] = False
    cautious: ClassVar[bool] = False
    """Whether the button that does nothing has the focus, so that Enter alone changes nothing."""
    back: ClassVar[str] = "Cancel (esc)"

    def __init__(self, title: str, verb: str) -> None:
        super().__init__()
        self._title_text = title
        self.verb = verb
        self._waiting = False

    def body(self) -> ComposeResult:
        """The widgets between title and buttons."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Title, body, a place for problems, two buttons."""
        with Vertical(id="dialog", classes="-dangerous" if self.dangerous else "") as dialog:
            dialog.border_title = Content(one_line(self._title_text))
            with VerticalScroll(id="body", can_focus=False):
                yield from self.body()
            yield Static(id="problem", markup=False)
            with Horizontal(id="buttons"):
                yield Button(
                    Content(self.verb), id="go", variant="error" if self.dangerous else "primary", compact=True
                )
                yield Button(Content(self.back), id="cancel", compact=True)

    def on_mount(self) -> None:
        """Hides the line for problems."""
        self.query_one("#problem").display = False
        if self.cautious:
            self.query_one("#cancel").focus()

    def action_scroll_body(self, lines: int) -> None:
        """Scrolls what doesn't fit on a small screen."""
        self.query_one("#body").scroll_relative(y=lines, animate=False)

    def action_cancel(self) -> None:
        """Closes the dialog; a request that was sent continues."""
        self.dismiss(False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The buttons do the same as Enter and Esc."""
        event.stop()
        if event.button.id == "go":
            self.go()
        else:
            self.action_cancel()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter confirms, if the input is valid."""
        event.stop()
        if not self.query_one("#go", Button).disabled:
            self.go()

    def go(self) -> None:
        """Carries out what the dialog asks for."""
        raise NotImplementedError

    def field(self, key: str) -> FormField:
        """One of its fields."""
        return next(field for field in self.query(FormField) if field.key == key)

    def send(self, call: Callable[[Client], T], said: str | Callable[[T], str]) -> None:
        """Sends a request once; closes the dialog with a notification on success, else shows the error."""
        if self._waiting:
            return
        self._waiting = True
        button = self.query_one("#go", Button)
        button.label = "Sending…"

        def done(answer: T) -> None:
            self.shell.learn_answer(answer)
            self.shell.say(said if isinstance(said, str) else said(answer))
            if self.is_current:
                self.dismiss(True)

        def failed(error: CalvinverseError) -> None:
            self._waiting = False
            button.label = Content(self.verb)
            self.refused(error)

        self.ask(lambda: call(self.shell.client()), done, failed)

    def refused(self, error: CalvinverseError) -> None:
        """Shows why the service refused the request."""
        self.complain(error)

    def complain(self, error: CalvinverseError | None) -> None:
        """Shows an error, or hides the line for errors."""
        problem = self.query_one("#problem", Static)
        problem.display = error is not None
        self.query_one("#dialog").set_class(error is not None, "-troubled")
        if error is not None:
            problem.update(problem_text(error))


class NameField(Vertical):
    """Asks for a name, so that a destructive action can't hit the wrong environment; reports a wrong name."""

    def __init__(self, name: str, *, focus: bool = False) -> None:
        """`focus`: once it is there, it has the focus."""
        super().__init__()
        self._wanted = name
        self._focus = focus

    def compose(self) -> ComposeResult:
        """The question, the input, and the line for errors."""
        yield Static(Content.assemble("Type ", (self._wanted, "bold $warning"), " to confirm:"))
        yield Input(id="name", compact=True)
        yield Static(id="wrong-name", markup=False)

    def on_mount(self) -> None:
        """Takes the focus if it should."""
        if self._focus:
            self.query_one("#name").focus()

    def check(self, *, whole: bool = False) -> bool:
        """Whether it is the name. A beginning of the name is no error, unless `whole`: nothing more will be typed."""
        typed = self.query_one("#name", Input).value.strip()
        good = typed == self._wanted
        wrong = bool(typed or whole) and not good and (whole or not self._wanted.startswith(typed))
        line = self.query_one("#wrong-name", Static)
        line.update(Content.assemble((f"✗ That isn't its name: it is {self._wanted}.", "$error")) if wrong else "")
        return good


class ReasonedDialog(Dialog):
    """A dangerous request that needs a reason, and a name that must be typed."""

    dangerous = True
    back = "Back (esc)"

    def __init__(self, title: str, verb: str, named: str) -> None:
        """`named`: what must be typed."""
        super().__init__(title, verb)
        self._named = named

    def asks(self) -> ComposeResult:
        """The two inputs, for the body."""
        yield Static("Why, for the history:", markup=False)
        yield Input(id="reason", compact=True, max_length=1000)
        yield NameField(self._named)

    def confirmed(self, reason: str) -> None:
        """Sends the request."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Disables the button until both are typed."""
        super().on_mount()
        self.query_one("#go", Button).disabled = True
        self.query_one("#reason").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Enables the button when the name matches and there is a reason."""
        named = self.query_one(NameField).check()
        reason = self.query_one("#reason", Input).value.strip()
        self.query_one("#go", Button).disabled = not (named and reason)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the first input focuses the second."""
        if event.input.id == "reason":
            event.stop()
            self.query_one("#name").focus()
        else:
            self.query_one(NameField).check(whole=True)
            super().on_input_submitted(event)

    def go(self) -> None:
        """Sends the request with the reason."""
        self.confirmed(self.query_one("#reason", Input).value.strip())


class DestroyDialog(Dialog):
    """Destroys an environment after its name was typed."""

    dangerous = True

    def __init__(self, view: EnvironmentView) -> None:
        super().__init__(f"Destroy {view.name}", "Destroy")
        self._view = view

    def body(self) -> ComposeResult:
        """What will be lost, and the input for the name."""
        view = self._view
        yield Static(
            Content.assemble(
                (view.name, "bold"),
                f" of {clean(view.owner)}, made from {clean(view.template)}, will be destroyed now, with everything "
                "that belongs to it: services, configuration, secrets, certificates. ",
                ("This can't be undone.", "bold"),
            ),
            classes="paragraph",
        )
        yield NameField(view.name)

    def on_mount(self) -> None:
        """Disables the button until the name is typed."""
        super().on_mount()
        self.query_one("#go", Button).disabled = True
        self.query_one("#name").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Enables the button when the name matches."""
        self.query_one("#go", Button).disabled = not self.query_one(NameField).check()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter with a wrong name shows that it is wrong."""
        self.query_one(NameField).check(whole=True)
        super().on_input_submitted(event)

    def go(self) -> None:
        """Destroys the environment by its id: another one may have its name by now."""
        view = self._view
        self.send(lambda client: client.destroy(view.id), f"{view.name} is being destroyed.")


class ConfirmDialog(Dialog):
    """Says what will happen in one paragraph, and sends one request; Enter alone sends nothing."""

    cautious = True
    back = "Back (esc)"

    def __init__(self, title: str, verb: str, text: str, call: Callable[[Client], object], said: str) -> None:
        super().__init__(title, verb)
        self._text = text
        self._call = call
        self._said = said

    def body(self) -> ComposeResult:
        """What will happen."""
        yield Static(clean(self._text), classes="paragraph", markup=False)

    def go(self) -> None:
        """Sends the request."""
        self.send(self._call, self._said)


class RevealDialog(Dialog):
    """Asks before secrets are shown."""

    cautious = True

    def __init__(self, name: str, count: int) -> None:
        super().__init__(f"Reveal the secrets of {name}", "Reveal")
        self._count = count

    def body(self) -> ComposeResult:
        """What will be shown."""
        what = "One secret is" if self._count == 1 else f"{self._count} secrets are"
        yield Static(
            f"{what} shown on this screen until you leave it. Anyone who sees the screen sees them.",
            classes="paragraph",
            markup=False,
        )

    def go(self) -> None:
        """Confirms."""
        self.dismiss(True)
