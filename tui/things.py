"""The screen of a list of things of the service: a table, and what the selected one is in full."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, TypeVar

from rich.cells import cell_len
from rich.style import Style
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Footer, Static

from environments.actions.action import Action
from environments.client import Client
from environments.domain.environment import Event, EventType
from environments.domain.errors import CalvinverseError
from environments.words import Mood
from tui.bars import AwayBanner, TopBar
from tui.dialogs import problem_text
from tui.placed import PlacedScreen
from tui.rows import MARGIN, Column, RowTable

T = TypeVar("T")
Cell = tuple[str, Mood]

RARE = 30
"""Seconds between two requests for the list, which others may change."""

_WITHIN = frozenset({EventType.LOG, EventType.STEP_STATE, EventType.RESOURCE_STATUS})
"""What happens within a deployment, and changes no list."""

_LEAST = 8
"""Cells that the column without a width of its own has at least."""


class ThingTable(RowTable[T]):
    """Things, one per line. The width of a column is the most that it takes; the one with 0 takes the rest."""

    def __init__(
        self, columns: Sequence[Column], key: Callable[[T], str], cells: Callable[[T], Sequence[Cell]]
    ) -> None:
        super().__init__(id="things")
        self._columns = columns
        self._key = key
        self._cells = cells
        self._texts: dict[str, Sequence[Cell]] = {}
        """The cells of each row: they are made once, and not for each line that is drawn."""
        self._longest = [0] * len(columns)

    def show_rows(self, rows: Sequence[T], *, follow: str | None = None) -> None:
        """Makes the cells, too."""
        self._texts = {self._key(row): self._cells(row) for row in rows}
        self._longest = [
            max((cell_len(texts[number][0]) for texts in self._texts.values()), default=0)
            for number in range(len(self._columns))
        ]
        super().show_rows(rows, follow=follow)

    def key_of(self, row: T) -> str:
        """What the screen says identifies it."""
        return self._key(row)

    def columns(self, width: int) -> list[tuple[Column, int]]:
        """Each column as wide as its longest text."""
        chosen = [
            (column, min(max(longest, len(column.title)), column.width or longest))
            for column, longest in zip(self._columns, self._longest, strict=True)
            if width >= column.needs
        ]
        taken = MARGIN + sum(size for column, size in chosen if column.width) + 2 * (len(chosen) - 1)
        return [(column, size if column.width else max(width - taken, _LEAST)) for column, size in chosen]

    def cell(self, row: T, key: str, base: Style) -> tuple[str, Style]:
        """The first column is bold."""
        number = next(number for number, column in enumerate(self._columns) if column.key == key)
        text, mood = self._texts[self._key(row)][number]
        style = base + self.mood(mood)
        return text, style if number else style + Style(bold=True)


class ThingsScreen(PlacedScreen, Generic[T]):
    """Asks for the things when it is opened, when it is on top again, and from time to time."""

    COLUMNS: ClassVar[tuple[Column, ...]]
    FOLLOWS: ClassVar[bool] = False
    """Whether what happens to environments may change the list, so that it asks again, once a second at most."""

    def __init__(self) -> None:
        super().__init__()
        self.things: Sequence[T] | None = None
        """As the service has last said; None: it hasn't yet."""
        self._fault: CalvinverseError | None = None
        self._asking = False
        self._ask_again = False
        self._was_away = False
        self._ticks = 0
        self._outdated = False
        """Whether something has happened since the list was asked for."""

    # --- what a list of something says -------------------------------------------------------------------------------

    def load(self, client: Client) -> Sequence[T]:
        """Requests the things; called in another thread. Raises `CalvinverseError`."""
        raise NotImplementedError

    def heading(self) -> Content:
        """What the list is of."""
        raise NotImplementedError

    def key_of(self, thing: T) -> str:
        """Identifies a thing."""
        raise NotImplementedError

    def cells(self, thing: T) -> Sequence[Cell]:
        """A text and its mood for each of `COLUMNS`."""
        raise NotImplementedError

    def in_full(self, thing: T) -> Content:
        """What the lines below the table say of the selected thing."""
        raise NotImplementedError

    def none_yet(self) -> Content:
        """What to do where there is nothing yet."""
        raise NotImplementedError

    # --- showing -----------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Top line, banner, heading, table or the text in its place, the selected thing, keys."""
        yield TopBar(id="top")
        yield AwayBanner(id="away", markup=False)
        yield Static(id="heading", markup=False)
        yield ThingTable(self.COLUMNS, self.key_of, self.cells)
        yield Static(id="empty", markup=False)
        yield Static(id="in-full", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    @property
    def table(self) -> ThingTable[T]:
        """The table."""
        return self.query_one(ThingTable)

    @property
    def selected(self) -> T | None:
        """The thing that actions apply to."""
        return self.table.selected

    def on_mount(self) -> None:
        """Focuses the table, and looks each second whether the list is outdated."""
        self.table.focus()
        self.set_interval(1.0, self._catch_up)
        self.state_changed()

    def on_screen_resume(self) -> None:
        """Asks again: a dialog may have changed something."""
        self.state_changed()
        self.reload()

    def on_row_table_moved(self) -> None:
        """Shows the selected thing."""
        if self.is_drawn:
            self.draw_selected()

    def state_changed(self) -> None:
        """Asks again when the service is back."""
        super().state_changed()
        away = self.shell.connection.away
        if self._was_away and not away:
            self.reload()
        self._was_away = away
        self.draw()

    def tick(self) -> None:
        """Asks again from time to time."""
        super().tick()
        self._ticks += 1
        if self._ticks % RARE == 0 and self.is_current:
            self.reload()

    def happened(self, events: Sequence[Event]) -> None:
        """Notes that the list may be outdated."""
        if self.FOLLOWS and any(event.type not in _WITHIN for event in events):
            self._outdated = True

    def _catch_up(self) -> None:
        if self._outdated and self.is_current:
            self.reload()

    def draw(self) -> None:
        """Draws what is known."""
        if not self.is_drawn:
            return
        self.query_one("#heading", Static).update(self.heading())
        table, empty = self.table, self.query_one("#empty", Static)
        things = self.things or ()
        table.show_rows(things)
        table.display = bool(things)
        empty.display = not things
        self.draw_selected()
        if not things:
            empty.update(self._empty_text())
        elif self.focused is None and self.is_current:
            table.focus()

    def draw_selected(self) -> None:
        """Draws the lines below the table."""
        in_full, selected = self.query_one("#in-full", Static), self.selected
        in_full.display = selected is not None
        if selected is not None:
            in_full.update(self.in_full(selected))

    def _empty_text(self) -> Content:
        if self._fault is not None:
            return Content("\n\n").join([problem_text(self._fault), keys_text("^r", " asks the service again.")])
        if self.things is None:
            away = self.shell.connection.away
            return (
                Content("Nothing is known yet. It will appear here as soon as the service answers.")
                if away
                else (Content.assemble(("Asking the service…", "$faint")))
            )
        return self.none_yet()

    def chosen(self, act: Action, none: str) -> T | None:
        """The selected thing; None, after saying why, when there is none or the action isn't possible now."""
        if self.selected is None:
            self.shell.say(none, severity="warning")
            return None
        return None if self.refuses(act) else self.selected

    # --- asking ------------------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Asks the service for the things; one request at a time, a wish meanwhile causes one more."""
        if self.shell.connection.away:
            return
        if self._asking:
            self._ask_again = True
            return
        self._asking, self._ask_again, self._outdated = True, False, False

        def done(found: Sequence[T]) -> None:
            self.things, self._fault = found, None
            ended()

        def failed(error: CalvinverseError) -> None:
            if self.things is None:
                self._fault = error  # else what is known stays; the banner tells of an outage
            ended()

        def ended() -> None:
            self._asking = False
            self.draw()
            if self._ask_again:
                self.reload()

        client = self.shell.client
        self.ask(lambda: self.load(client()), done, failed)

    def action_view_reload(self) -> None:
        """Asks for these things, too."""
        super().action_view_reload()
        self.reload()


def keys_text(key: str, text: str, before: str = "") -> Content:
    """A sentence with a key in it."""
    return Content.assemble(before, (key, "bold $accent"), text)
