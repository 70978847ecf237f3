"""The help: every key from the registry, and what the signs mean."""

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from environments.actions.action import Risk
from environments.actions.registry import ACTIONS
from environments.words import AWAITING, DEGRADED, DRIFTED, SHARED, STATES, WARNING
from tui.keys import written
from tui.rows import RowTable
from tui.sections import STYLES

_GROUPS = {
    "environment": "Acting",
    "policy": "Policies",
    "calendar": "Holiday calendars",
    "warning": "Warnings",
    "hold": "Holds",
    "trigger": "Triggers",
    "event": "Received events",
    "preview": "Previews",
    "session": "Signing in",
    "view": "Navigation",
}
"""Groups of actions in the order in which they are shown, with their titles."""


class HelpScreen(ModalScreen[None]):
    """Keys, signs, and how to move."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "Back", show=False),
        Binding("k", "scroll_up", show=False),
        Binding("j", "scroll_down", show=False),
    ]

    def compose(self) -> ComposeResult:
        """A list that scrolls: keys or signs on the left, their meaning on the right."""
        with VerticalScroll(id="help") as box:
            box.border_title = "Help"
            box.border_subtitle = "esc closes"
            for left, right in help_rows():
                if right is None:
                    yield Static(left, classes="section", markup=False)
                else:
                    with Horizontal(classes="row"):
                        yield Static(left, classes="left", markup=False)
                        yield Static(right, classes="right", markup=False)

    def on_mount(self) -> None:
        """Focuses the list, so that arrow keys scroll it."""
        self.query_one("#help").focus()


Row = tuple[Content, Content | None]
"""Left and right column; a title has no right one."""


def help_rows() -> Iterator[Row]:
    """The whole help."""
    for group, title in _GROUPS.items():
        yield Content(title), None
        for action in ACTIONS:
            if action.group != group or not action.places:
                continue
            keys = " ".join(written(key) for key in action.keys)
            where = f" (in the {action.only_in})" if action.only_in else ""
            risk = " Asks first." if action.risk is Risk.DESTRUCTIVE else ""
            yield (
                Content.assemble((keys, "bold")),
                Content.assemble(f"{action.title}{where}: ", (f"{action.help}{risk}", "$faint")),
            )
    yield Content("Moving in the table"), None
    for binding in RowTable.BINDINGS:
        assert isinstance(binding, Binding)
        keys = " ".join(written(key) for key in binding.key.split(","))
        yield Content.assemble((keys, "bold")), Content.assemble((binding.description, "$faint"))
    yield Content("Signs"), None
    for sign in (*STATES.values(), DEGRADED, DRIFTED, AWAITING, SHARED):
        yield Content.assemble((str(sign), STYLES[sign.mood])), Content.assemble((sign.meaning, "$faint"))
    yield (
        Content.assemble((f"{WARNING} 12m30s", "$warning")),
        Content.assemble(("its owner was warned: its time is nearly over", "$faint")),
    )
