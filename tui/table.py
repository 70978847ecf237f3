"""The table of environments."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.style import Style

from environments.domain.lifecycle import ENDED, State
from environments.moments import coarse, countdown
from environments.wire.environments import EnvironmentView
from environments.words import SHARED, WARNING, clean
from tui.clock import Clock
from tui.rows import MARGIN, Column, RowTable
from tui.summary import note, sign_of

COLUMNS = (
    Column("name", "Name", 0),
    Column("state", "State", 16),
    Column("template", "Template", 12, needs=72),
    Column("owner", "Owner", 10, needs=64),
    Column("age", "Age", 7, needs=56),
    Column("left", "Time left", 9),
    Column("role", "Your role", 9, needs=112),
    Column("note", "Note", 0, needs=100),
)
SORTABLE = tuple(column.key for column in COLUMNS if column.key not in ("role", "note"))
LONGEST_NAME = 40


class EnvironmentTable(RowTable[EnvironmentView]):
    """Environments, sorted by one column."""

    def __init__(self, clock: Clock, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock = clock
        self.stale = False
        """Whether the state may be outdated: drawn faint, and the time left isn't counted down to zero."""
        self.me = ""
        """The user name of the caller, whose environments have no mark; empty: not known yet."""
        self.sort_key = "name"
        self.reverse = False

    @property
    def views(self) -> Sequence[EnvironmentView]:
        """The environments in the order in which they are shown."""
        return self.rows

    def show(self, views: Sequence[EnvironmentView], *, follow: str | None = None) -> None:
        """Shows environments, sorted; `follow` is the id of one to select. See `show_rows`."""
        self.show_rows(sorted(views, key=self._order, reverse=self.reverse), follow=follow)

    def key_of(self, row: EnvironmentView) -> str:
        """Its id."""
        return row.id

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

    def columns(self, width: int) -> list[tuple[Column, int]]:
        """The columns that fit, with their widths."""
        chosen = [column for column in COLUMNS if width >= column.needs]
        left = width - MARGIN - sum(column.width for column in chosen) - 2 * (len(chosen) - 1)
        longest = max((len(view.name) for view in self.rows), default=0)
        name = max(min(left, LONGEST_NAME, max(longest, 16)), 8)
        return [(column, column.width or (name if column.key == "name" else max(left - name, 0))) for column in chosen]

    def title_of(self, column: Column) -> str:
        """With an arrow if it is the one that sorts."""
        arrow = (" ▼" if self.reverse else " ▲") if column.key == self.sort_key else ""
        return column.title + arrow

    def cell(self, row: EnvironmentView, key: str, base: Style) -> tuple[str, Style]:
        """A fact of an environment."""
        view, faint = row, self.faint(base)
        if key == "name":
            style = faint if view.state in ENDED or self.stale else base + Style(bold=True)
            return view.name, style
        if key == "state":
            sign = sign_of(view)
            return sign.narrow, base + self.mood("gone" if self.stale else sign.mood)
        if key == "age":
            return coarse(self._clock.now() - view.created_at), faint
        if key == "left":
            text, mood = time_left(view, self._clock.now(), stale=self.stale)
            return text, base + self.mood(mood)
        if key == "note":
            bad = view.failure is not None and not self.stale
            return note(view), base + self.mood("bad" if bad else "gone")
        if key == "role":
            return view.role.value if view.role is not None else "", faint
        mark = f"{SHARED.glyph} " if key == "owner" and self.me not in ("", view.owner) else ""
        return mark + clean(str(getattr(view, key))), faint if self.stale else base


def time_left(view: EnvironmentView, now: datetime, *, stale: bool = False) -> tuple[str, str]:
    """The time left and its mood: `2h05m`, `! 3m10s` once the owner was warned, `never`, `held`, `now`."""
    if view.state in ENDED:
        return "-", "gone"
    if view.state in (State.DESTROYING, State.DESTROY_FAILED):
        return "now", "gone" if stale else "busy"
    if view.deadline is None:
        return "never", "gone"
    left = view.deadline - now
    if view.held_by is not None:
        return f"{WARNING} held", "gone" if stale else "warn"
    if left <= timedelta(0):
        return ("due", "gone") if stale else (f"{WARNING} due", "warn")
    if view.warned:
        return f"{WARNING} {countdown(left)}", "gone" if stale else "warn"
    return countdown(left), "gone" if stale else "plain"
