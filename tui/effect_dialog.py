"""A dialog that shows what an edit would move before it is made."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Button, Input, Static

from environments.client import Client
from environments.domain.errors import CalvinverseError
from environments.timing_words import effect as what_moves
from environments.wire.timing import EffectView
from environments.words import clean
from tui.clock import Clock
from tui.dialogs import Dialog, NameField
from tui.fields import FormField
from tui.rows import fit

SHOWN = 8
"""Deadlines that are listed; the others are counted."""

Edit = Callable[[Client, bool], EffectView]
"""Makes the edit; with True it only computes what that would move."""


class EffectDialog(Dialog):
    """Asks for the fields, has the service compute what would move, shows that, and makes the edit as it was shown.

    If deadlines move, the name of what the edit is for must be typed. Esc goes back to the fields.
    """

    first: ClassVar[str] = "Preview"
    has_fields: ClassVar[bool] = True

    def __init__(self, title: str, verb: str, done: str, clock: Clock) -> None:
        """`verb` is on the button, `done` says what has been done then: `set`, `removed`."""
        super().__init__(title, self.first)
        self._clock = clock
        self._does = verb
        self._done = done
        self._edit: Edit | None = None
        self._effect: EffectView | None = None
        """What the edit would move; None: the fields are shown."""
        self._asking = False

    # --- what an edit says -------------------------------------------------------------------------------------------

    def fields(self) -> ComposeResult:
        """The widgets that ask for the edit."""
        return iter(())

    def read(self) -> Edit | None:
        """The edit that the fields ask for; None, with the fields saying why, while they don't."""
        raise NotImplementedError

    def named(self) -> str:
        """What the edit is for, which is typed to confirm it."""
        raise NotImplementedError

    def subject(self) -> str:
        """What is edited, as the beginning of a sentence."""
        raise NotImplementedError

    def note(self) -> str:
        """What else the edit does, as a sentence; empty if nothing."""
        return ""

    # --- showing -----------------------------------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """The fields, and in their place what the edit moves."""
        with Vertical(id="asked"):
            yield from self.fields()
        with Vertical(id="effect"):
            yield Static(id="outcome", markup=False)

    def on_mount(self) -> None:
        """Shows the fields; without any it asks at once."""
        super().on_mount()
        self.query_one("#effect").display = False
        self.query_one("#asked").display = self.has_fields
        if not self.has_fields:
            self.query_one("#cancel").focus()
            self.go()
        else:
            self.edited()

    def on_form_field_edited(self, event: FormField.Edited) -> None:
        """Reads the fields."""
        event.stop()
        self.edited()

    def edited(self) -> None:
        """Reads the fields; the button needs all of them."""
        self.complain(None)
        self._edit = self.read()
        self.query_one("#go", Button).disabled = self._edit is None

    def go(self) -> None:
        """Asks for what would move, and then makes the edit."""
        if self._effect is None:
            self._preview()
            return
        edit = self._edit
        if edit is not None and not self.query_one("#go", Button).disabled:
            self.send(lambda client: edit(client, False), self._said)

    def _preview(self) -> None:
        edit = self._edit if self.has_fields else self.read()
        if self._asking or edit is None:
            return
        self._asking, self._edit = True, edit
        button = self.query_one("#go", Button)
        button.label = "Computing…"
        self.complain(None)

        def done(found: EffectView) -> None:
            self._asking = False
            self._show(found)

        def failed(error: CalvinverseError) -> None:
            self._asking = False
            button.label = self.verb
            self.complain(error)

        client = self.shell.client
        self.ask(lambda: edit(client(), True), done, failed)

    def _show(self, found: EffectView) -> None:
        self._effect = found
        self.verb = self._does
        button = self.query_one("#go", Button)
        button.label = self._does
        button.variant = "error" if found.moved else "primary"
        button.disabled = bool(found.moved)
        self.query_one("#dialog").set_class(bool(found.moved), "-dangerous")
        self.query_one("#asked").display = False
        self.query_one("#effect").display = True
        self.query_one("#cancel", Button).label = "Back (esc)"
        said = f"{self.subject()} will be {self._done}. {self.note()}"
        self.query_one("#outcome", Static).update(
            Content("\n\n").join([Content(said), effect_lines(found, self._clock)])
        )
        if found.moved:
            self.query_one("#effect").mount(NameField(self.named(), focus=True))
        else:
            self.query_one("#cancel").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """The name, which enables the button."""
        event.stop()
        if self._effect is not None:
            self.query_one("#go", Button).disabled = not self.query_one(NameField).check()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter with a wrong name shows that it is wrong."""
        if self._effect is not None:
            self.query_one(NameField).check(whole=True)
        super().on_input_submitted(event)

    def action_cancel(self) -> None:
        """Goes back to the fields, or closes the dialog."""
        if self._effect is None or not self.has_fields:
            super().action_cancel()
            return
        self._effect = None
        self.verb = self.first
        self.query(NameField).remove()
        self.query_one("#effect").display = False
        self.query_one("#asked").display = True
        self.query_one("#dialog").remove_class("-dangerous")
        button = self.query_one("#go", Button)
        button.label, button.variant = self.verb, "primary"
        self.query_one("#cancel", Button).label = self.back
        self.edited()
        self.query(FormField).last().control().focus()

    def _said(self, done: EffectView) -> str:
        return f"{self.subject()} is {self._done}. {_counted(done, done.moved, 'deadline')}."


def effect_lines(effect: EffectView, clock: Clock) -> Content:
    """What an edit moves: deadlines, then next stops and starts; a sentence, and a line for each of the first."""
    lines = _group(
        _counted(effect, effect.moved, "deadline"),
        effect.moved,
        [(clean(move.environment), move.before, move.deadline, clean(move.owner)) for move in effect.moves],
        clock,
    )
    if effect.switches_moved:
        switches = [
            (f"{move.action.value} {clean(move.environment)}", move.before, move.at, clean(move.owner))
            for move in effect.switch_moves
        ]
        said = _counted(effect, effect.switches_moved, "next stop or start")
        lines += _group(said, effect.switches_moved, switches, clock)
    return Content("\n").join(lines)


def _counted(effect: EffectView, count: int, noun: str) -> str:
    return what_moves(effect.applied, count, noun, effect.concerned, effect.computed)


def _group(
    said: str, count: int, moves: Sequence[tuple[str, datetime | None, datetime | None, str]], clock: Clock
) -> list[Content]:
    """`moves`: what moves, from when, to when, and whose it is."""
    if not count:
        return [Content(f"{said}.")]
    shown = moves[:SHOWN]
    longest = max((cell_len(what) for what, *_ in shown), default=0)
    lines = [Content.assemble((f"{said}:", "bold"))]
    for what, before, at, owner in shown:
        sooner = at is not None and (before is None or at < before)
        lines.append(
            Content.assemble(
                fit(what, longest),
                (f"  {_moment(before, clock)} → ", "$faint"),
                (_moment(at, clock), "bold $warning" if sooner else ""),
                (f"  {owner}", "$faint"),
            )
        )
    if count > len(shown):
        lines.append(Content(f"and {count - len(shown)} more"))
    return lines


def _moment(at: datetime | None, clock: Clock) -> str:
    return "never" if at is None else clock.moment(at)
