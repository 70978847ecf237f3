"""The table of environments: draws only the visible lines, so a thousand environments cost as much as twenty."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from environments.domain.lifecycle import ENDED, State
from environments.moments import coarse, countdown
from environments.wire.environments import EnvironmentView
from environments.words import WARNING, clean
from tui.clock import Clock
from tui.summary import note, sign_of


@dataclass(frozen=True)
class Column:
    """A column. `needs`: the width in cells below which it is left out. `width` 0: takes the remaining width."""

    key: str
    title: str
    width: int
    needs: int = 0


COLUMNS = (
    Column("name", "Name", 0),
    Column("state", "State", 16),
    Column("template", "Template", 12, needs=72),
    Column("owner", "Owner", 10, needs=64),
    Column("age", "Age", 7, needs=56),
    Column("left", "Time left", 9),
    Column("note", "Note", 0, needs=100),
)
SORTABLE = tuple(column.key for column in COLUMNS if column.key != "note")
LONGEST_NAME = 40
_MARGIN = 2


class EnvironmentTable(ScrollView, can_focus=True):
    """Environments, one per line. The selection follows its environment when others are added and removed."""

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
        """Another environment is selected, or none."""

    class Opened(Message):
        """The selected environment was clicked once more."""

    def __init__(self, clock: Clock, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._views: list[EnvironmentView] = []
        self._line = 0
        self.stale = False
        """Whether the state may be outdated: drawn faint, and the time left isn't counted down to zero."""
        self.sort_key = "name"
        self.reverse = False

    # --- what is shown -----------------------------------------------------------------------------------------------

    @property
    def selected(self) -> EnvironmentView | None:
        """The environment under the cursor."""
        return self._views[self._line] if self._views else None

    @property
    def views(self) -> Sequence[EnvironmentView]:
        """The environments in the order in which they are shown."""
        return self._views

    def show(self, views: Sequence[EnvironmentView], *, follow: str | None = None) -> None:
        """Shows environments, sorted; the selected one stays selected and on the same line of the screen.

        `follow` is the id of an environment to select instead.
        """
        before = self.selected
        wanted = follow or (before.id if before is not None else None)
        self._views = sorted(views, key=self._order, reverse=self.reverse)
        self._measure()
        line = next((i for i, view in enumerate(self._views) if view.id == wanted), None)
        moved = self._line
        self._line = line if line is not None else min(self._line, max(len(self._views) - 1, 0))
        if follow is None and line is not None and line != moved and self.scroll_offset.y:
            self.scroll_to(y=self.scroll_offset.y + line - moved, animate=False, immediate=True)
        self._keep_in_sight()
        self.refresh()
        after = self.selected
        if (after.id if after else None) != (before.id if before else None):
            self.post_message(self.Moved())

    def tick(self) -> None:
        """Draws the visible lines again: ages and times left have changed."""
        self.refresh()

    def _order(self, view: EnvironmentView) -> tuple[object, ...]:
        key = self.sort_key
        if key == "state":
            return (list(State).index(view.state), view.name)
        if key == "age":
            return (-view.created_at.timestamp(), view.name)
        if key == "left":
            return (view.deadline.timestamp() if view.deadline and view.state not in ENDED else float("inf"), view.name)
        if key in ("template", "owner"):
            return (getattr(view, key), view.name)
        return (view.name, view.created_at)

    # --- moving ------------------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Moves the selection down, or up."""
        self._go(self._line + by)

    def action_page(self, by: int) -> None:
        """Moves the selection down a page, or up."""
        self._go(self._line + by * max(self.size.height - 2, 1))

    def action_edge(self, last: int) -> None:
        """Moves the selection to the first line, or the last."""
        self._go(len(self._views) if last else 0)

    def _go(self, line: int) -> None:
        line = max(0, min(line, len(self._views) - 1))
        if line != self._line and self._views:
            self._line = line
            self._keep_in_sight()
            self.refresh()
            self.post_message(self.Moved())

    def _measure(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._views) + 1)

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
        if event.y > 0 and line < len(self._views):
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
        columns = self._columns(width)
        if y == 0:
            style = self.get_component_rich_style("table--head")
            cells = [(self._title(column), size, style) for column, size in columns]
            return self._strip("  ", cells, width, style)
        line = y - 1 + self.scroll_offset.y
        if line >= len(self._views):
            return Strip.blank(width, self.rich_style)
        view = self._views[line]
        chosen = line == self._line
        base = self.get_component_rich_style("table--cursor") if chosen and self.has_focus else self.rich_style
        cells = []
        for column, size in columns:
            text, style = self._cell(view, column.key, base)
            cells.append((text, size, style))
        return self._strip("▌ " if chosen else "  ", cells, width, base)

    def _columns(self, width: int) -> list[tuple[Column, int]]:
        """The columns that fit, with their widths."""
        chosen = [column for column in COLUMNS if width >= column.needs]
        left = width - _MARGIN - sum(column.width for column in chosen) - 2 * (len(chosen) - 1)
        longest = max((len(view.name) for view in self._views), default=0)
        name = max(min(left, LONGEST_NAME, max(longest, 16)), 8)
        return [(column, column.width or (name if column.key == "name" else max(left - name, 0))) for column in chosen]

    def _title(self, column: Column) -> str:
        arrow = (" ▼" if self.reverse else " ▲") if column.key == self.sort_key else ""
        return column.title + arrow

    def _cell(self, view: EnvironmentView, key: str, base: Style) -> tuple[str, Style]:
        faint = base + self.get_component_rich_style("table--faint", partial=True)
        if key == "name":
            style = faint if view.state in ENDED or self.stale else base + Style(bold=True)
            return view.name, style
        if key == "state":
            sign = sign_of(view)
            return sign.narrow, base + self._mood("gone" if self.stale else sign.mood)
        if key == "age":
            return coarse(self._clock.now() - view.created_at), faint
        if key == "left":
            text, mood = time_left(view, self._clock.now(), stale=self.stale)
            return text, base + self._mood(mood)
        if key == "note":
            bad = view.failure is not None and not self.stale
            return note(view), base + self._mood("bad" if bad else "gone")
        return clean(str(getattr(view, key))), faint if self.stale else base

    def _mood(self, mood: str) -> Style:
        return self.get_component_rich_style(f"mood--{mood}", partial=True)

    def _strip(self, mark: str, cells: list[tuple[str, int, Style]], width: int, base: Style) -> Strip:
        segments = [Segment(mark, base + self.get_component_rich_style("mood--warn", partial=True))]
        for number, (text, size, style) in enumerate(cells):
            gap = "" if number == len(cells) - 1 else "  "
            segments.append(Segment(fit(text, size), style))
            segments.append(Segment(gap, base))
        return Strip(segments).adjust_cell_length(width, base)


def time_left(view: EnvironmentView, now: datetime, *, stale: bool = False) -> tuple[str, str]:
    """The time left and its mood: `2h05m`, `! 3m10s` once the owner was warned, `never`, `now`."""
    if view.state in ENDED:
        return "-", "gone"
    if view.state in (State.DESTROYING, State.DESTROY_FAILED):
        return "now", "gone" if stale else "busy"
    if view.deadline is None:
        return "never", "gone"
    left = view.deadline - now
    if left <= timedelta(0):
        return ("due", "gone") if stale else (f"{WARNING} due", "warn")
    if view.warned:
        return f"{WARNING} {countdown(left)}", "gone" if stale else "warn"
    return countdown(left), "gone" if stale else "plain"


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
