"""The help: every key from the registry, and what the signs mean."""

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from environments.actions import ACTIONS, Place, Risk
from tui.keys import written
from tui.sections import STYLES
from tui.table import EnvironmentTable
from tui.words import STATES, WARNING

_WHERE = {
    frozenset({Place.LIST, Place.DETAIL}): "",
    frozenset({Place.LIST}): "in the list",
    frozenset({Place.DETAIL}): "in the detail",
}


class HelpScreen(ModalScreen[None]):
    """Keys, signs, and how to move."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "Back", show=False),
        Binding("k", "scroll_up", show=False),
        Binding("j", "scroll_down", show=False),
    ]

    def compose(self) -> ComposeResult:
        """One text that scrolls."""
        with VerticalScroll(id="help") as box:
            box.border_title = "Help"
            box.border_subtitle = "esc closes"
            yield Static(help_text(), markup=False)

    def on_mount(self) -> None:
        """Arrows scroll."""
        self.query_one("#help").focus()


def help_text() -> Content:
    """The whole help."""
    parts: list[Content] = []
    for title, group in (("Acting", "environment"), ("Finding the way", "view")):
        parts.append(Content.assemble((title, "bold $accent")))
        for action in ACTIONS:
            if action.group != group or not action.places:
                continue
            keys = " ".join(written(key) for key in action.keys)
            where = _WHERE[action.places]
            risk = " Asks first." if action.risk is Risk.DESTRUCTIVE else ""
            parts.append(
                Content.assemble(
                    (f"  {keys:<8} ", "bold"),
                    (f"{action.title}: ", ""),
                    (f"{action.help}{risk}", "$faint"),
                    (f" ({where})" if where else "", "$faint"),
                )
            )
        parts.append(Content(""))
    parts.append(Content.assemble(("Moving in the table", "bold $accent")))
    parts.extend(_moving())
    parts.append(Content(""))
    parts.append(Content.assemble(("Signs", "bold $accent")))
    for sign in STATES.values():
        parts.append(Content.assemble((f"  {sign!s:<18} ", STYLES[sign.mood]), (sign.meaning, "$faint")))
    parts.append(
        Content.assemble((f"  {WARNING + ' 12m30s':<18} ", "$warning"), ("its owner was warned: it goes soon", "$faint"))
    )
    return Content("\n").join(parts)


def _moving() -> Iterator[Content]:
    for binding in EnvironmentTable.BINDINGS:
        assert isinstance(binding, Binding)
        keys = " ".join(written(key) for key in binding.key.split(","))
        yield Content.assemble((f"  {keys:<14} ", "bold"), (binding.description, "$faint"))
