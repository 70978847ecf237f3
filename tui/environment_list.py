"""The first screen: all environments, live."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Footer, Input, Static

from environments.actions.action import Place
from environments.actions.registry import action
from environments.domain.lifecycle import ENDED
from environments.wire.environments import EnvironmentView
from environments.words import STATES
from tui.acting import ActingScreen
from tui.bars import AwayBanner, TopBar
from tui.keys import bindings
from tui.summary import sign_of
from tui.table import SORTABLE, EnvironmentTable


class ListScreen(ActingScreen):
    """The table with its filter; without environments a text that says what to do first."""

    PLACE = Place.LIST
    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.LIST)

    def compose(self) -> ComposeResult:
        """Top line, banner, filter, table or the text in its place, keys."""
        yield TopBar(id="top")
        yield AwayBanner(id="away", markup=False)
        yield Input(placeholder="name, state, template or owner", id="filter", compact=True)
        yield EnvironmentTable(self.shell.clock, id="table")
        yield Static(id="empty", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Focuses the table, and hides the filter."""
        self.filter.display = False
        self.table.focus()
        self.state_changed()

    def on_screen_resume(self) -> None:
        """Draws what has changed while another screen was open."""
        self.state_changed()

    @property
    def table(self) -> EnvironmentTable:
        """The table."""
        return self.query_one(EnvironmentTable)

    @property
    def filter(self) -> Input:
        """The filter's input."""
        return self.query_one("#filter", Input)

    def current(self) -> EnvironmentView | None:
        """The selected environment."""
        return self.table.selected

    # --- showing -----------------------------------------------------------------------------------------------------

    def state_changed(self) -> None:
        """Draws the known state; the selection is kept."""
        shell = self.shell
        known = [view for view in shell.known.values() if shell.live.ended or view.state not in ENDED]
        super().tick()
        typed = self.filter.value.strip().lower()
        views = [view for view in known if matches(view, typed)]
        table = self.table
        table.stale, table.me = shell.connection.away, shell.me
        table.show(views)
        table.display = bool(views)
        empty = self.query_one("#empty", Static)
        empty.display = not views
        if not views:
            empty.update(self._empty_text(bool(known), typed))
            if not self.filter.has_focus:
                self.set_focus(None)
        elif self.focused is None and self.is_current:
            table.focus()

    def _empty_text(self, others: bool, typed: str) -> Content:
        shell = self.shell
        if others:
            return Content.assemble(f"Nothing matches “{typed}”.\n\n", ("esc", "bold $accent"), " clears the filter.")
        if shell.connection.away:
            return Content("Nothing is known yet. It will appear here as soon as the service answers.")
        if not shell.connection.here:
            return Content.assemble((f"Connecting to {shell.where}…", "$faint"))
        return Content.assemble(
            ("There are no environments yet.\n\n", "bold"),
            "Press ",
            ("c", "bold $accent"),
            " to create the first one from a template,\nor type this in another terminal and watch it appear here:\n\n",
            ("calvinverse env create my-first --template web\n\n", "$secondary"),
            ("It will be destroyed automatically when its lifetime is over; ", "$faint"),
            ("?", "bold $accent"),
            (" shows all keys.", "$faint"),
        )

    def tick(self) -> None:
        """Updates ages and times left."""
        super().tick()
        self.table.tick()

    # --- keys of this screen -----------------------------------------------------------------------------------------

    def action_environment_show(self) -> None:
        """Opens the selected environment."""
        view = self.target(action("environment.show"))
        if view is not None:
            self.shell.open_detail(view)

    def on_row_table_opened(self) -> None:
        """A second click opens it, too."""
        self.action_environment_show()

    def action_environment_logs(self) -> None:
        """Opens the selected environment with its log on the whole screen."""
        view = self.target(action("environment.logs"))
        if view is not None:
            self.shell.open_detail(view, log_only=True)

    def action_view_filter(self) -> None:
        """Shows and focuses the filter."""
        self.filter.display = True
        self.filter.focus()

    def on_input_changed(self) -> None:
        """Filters while somebody types."""
        self.state_changed()

    def on_input_submitted(self) -> None:
        """Enter focuses the table and keeps the filter."""
        self.filter.display = bool(self.filter.value.strip())
        if self.table.display:
            self.table.focus()

    def action_view_back(self) -> None:
        """Clears the filter."""
        self.filter.value = ""
        self.filter.display = False
        self.state_changed()
        if self.table.display:
            self.table.focus()

    def action_view_sort(self) -> None:
        """Sorts by the next column."""
        table = self.table
        table.sort_key = SORTABLE[(SORTABLE.index(table.sort_key) + 1) % len(SORTABLE)]
        self.state_changed()

    def action_view_reverse(self) -> None:
        """Reverses the order."""
        self.table.reverse = not self.table.reverse
        self.state_changed()

    def action_view_ended(self) -> None:
        """Shows or hides ended environments."""
        live = self.shell.live
        live.ended = not live.ended
        live.reload()
        self.shell.say("Ended environments are shown." if live.ended else "Ended environments are hidden.")
        self.state_changed()


def matches(view: EnvironmentView, typed: str) -> bool:
    """Whether every typed word occurs in the environment's name, state, template or owner."""
    line = f"{view.name} {STATES[view.state].word} {sign_of(view).word} {view.template} {view.owner}".lower()
    return all(word in line for word in typed.split())
