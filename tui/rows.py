"""A table with a cursor: draws only the visible lines, so a thousand rows cost as much as twenty."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

T = TypeVar("T")
MARGIN = 2
"""Cells on the left, which have the mark of the selected line."""


@dataclass(frozen=True)
class Column:
    """A column. `needs`: the width in cells below which it is left out. `width` 0: takes the remaining width."""

    key: str
    title: str
    width: int
    needs: int = 0


class RowTable(ScrollView, Generic[T], can_focus=True):
    """Rows, one per line. The selection follows its row when others are added and removed."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--head",
        "table--cursor",
        "table--faint",
        "mood--good",
        "mood--busy",
        "mood--bad",
        "mood--warn",
        "mood--gone",
        "mood--plain",
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "A page up", show=False),
        Binding("pagedown,space", "page(1)", "A page down", show=False),
        Binding("home,g", "edge(0)", "First", show=False),
        Binding("end,G", "edge(1)", "Last", show=False),
    ]

    class Moved(Message):
        """Another row is selected, or none."""

    class Opened(Message):
        """The selected row was clicked once more."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: Sequence[T] = ()
        self._line = 0

    # --- what a table of something says ------------------------------------------------------------------------------

    def key_of(self, row: T) -> str:
        """Identifies a row, whatever else of it changes."""
        raise NotImplementedError

    def columns(self, width: int) -> list[tuple[Column, int]]:
        """The columns that fit into so many cells, with their widths."""
        raise NotImplementedError

    def title_of(self, column: Column) -> str:
        """The text at the head of a column."""
        return column.title

    def cell(self, row: T, key: str, base: Style) -> tuple[str, Style]:
        """The text of a row in the column `key`, and its style."""
        raise NotImplementedError

    # --- what is shown -----------------------------------------------------------------------------------------------

    @property
    def selected(self) -> T | None:
        """The row under the cursor."""
        return self._rows[self._line] if self._rows else None

    @property
    def rows(self) -> Sequence[T]:
        """The rows in the order in which they are shown."""
        return self._rows

    def show_rows(self, rows: Sequence[T], *, follow: str | None = None) -> None:
        """Shows rows; the selected one stays selected and on the same line of the screen.

        `follow` is the key of a row to select instead.
        """
        before = self._selected_key()
        wanted = follow or before
        self._rows = rows
        self._measure()
        line = next((i for i, row in enumerate(rows) if self.key_of(row) == wanted), None)
        moved = self._line
        self._line = line if line is not None else min(self._line, max(len(rows) - 1, 0))
        if follow is None and line is not None and line != moved and self.scroll_offset.y:
            self.scroll_to(y=self.scroll_offset.y + line - moved, animate=False, immediate=True)
        self._keep_in_sight()
        self.refresh()
        if self._selected_key() != before:
            self.post_message(self.Moved())

    def _selected_key(self) -> str | None:
        selected = self.selected
        return None if selected is None else self.key_of(selected)

    def tick(self) -> None:
        """Draws the visible lines again: ages and times left have changed."""
        self.refresh()

    # --- moving ------------------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Moves the selection down, or up."""
        self._go(self._line + by)

    def action_page(self, by: int) -> None:
        """Moves the selection down a page, or up."""
        self._go(self._line + by * max(self.size.height - 2, 1))

    def action_edge(self, last: int) -> None:
        """Moves the selection to the first line, or the last."""
        self._go(len(self._rows) if last else 0)

    def _go(self, line: int) -> None:
        line = max(0, min(line, len(self._rows) - 1))
        if line != self._line and self._rows:
            self._line = line
            self._keep_in_sight()
            self.refresh()
            self.post_message(self.Moved())

    def _measure(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._rows) + 1)

    def _keep_in_sight(self) -> None:
        seen = max(self.size.height - 1, 1)
        top = self.scroll_offset.y
        if self._line < top:
            self.scroll_to(y=self._line, animate=False, immediate=True)
        elif self._line >= top + seen:
            self.scroll_to(y=self._line - seen + 1, animate=False, immediate=True)

    def on_click(self, event: events.Click) -> None:
        """Selects the clicked line; a click on the selected one opens it."""
        line = event.y + self.scroll_offset.y - 1
        if event.y > 0 and line < len(self._rows):
            if line == self._line:
                self.post_message(self.Opened())
            self._go(line)

    def on_resize(self) -> None:
        """Draws again: lines have another width now."""
        self._measure()
        self._keep_in_sight()

    # --- drawing -----------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One line of the screen; the head stays on top."""
        width = self.size.width
        columns = self.columns(width)
        if y == 0:
            style = self.get_component_rich_style("table--head")
            cells = [(self.title_of(column), size, style) for column, size in columns]
            return self._strip("  ", cells, width, style)
        line = y - 1 + self.scroll_offset.y
        if line >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        row = self._rows[line]
        chosen = line == self._line
        base = self.get_component_rich_style("table--cursor") if chosen and self.has_focus else self.rich_style
        cells = []
        for column, size in columns:
            text, style = self.cell(row, column.key, base)
            cells.append((text, size, style))
        return self._strip("▌ " if chosen else "  ", cells, width, base)

    def mood(self, mood: str) -> Style:
        """The style of a mood, to be laid over another one."""
        return self.get_component_rich_style(f"mood--{mood}", partial=True)

    def faint(self, base: Style) -> Style:
        """The style of what matters less."""
        return base + self.get_component_rich_style("table--faint", partial=True)

    def _strip(self, mark: str, cells: list[tuple[str, int, Style]], width: int, base: Style) -> Strip:
        segments = [Segment(mark, base + self.mood("warn"))]
        for number, (text, size, style) in enumerate(cells):
            gap = "" if number == len(cells) - 1 else "  "
            segments.append(Segment(fit(text, size), style))
            segments.append(Segment(gap, base))
        return Strip(segments).adjust_cell_length(width, base)


def fit(text: str, width: int) -> str:
    """The text in exactly `width` cells; a text that is too long ends with `…`."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + "…" if width > 0 else ""


def keep_end(text: str, width: int) -> str:
    """The text in at most `width` cells; a text that is too long keeps its end, which tells addresses apart."""
    if cell_len(text) <= width:
        return text
    cut = len(text)
    while cut > 0 and cell_len(text[cut - 1 :]) < width:
        cut -= 1
    return "…" + text[cut:]
