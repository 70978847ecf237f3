"""The application: what is known, the connection, and the way from screen to screen."""

import gc
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from environments.client import Client, connect
from environments.context import find_context
from environments.moments import local_zone
from environments.wire.environments import EnvironmentView
from tui.bars import Connection
from tui.clock import Clock, utc_now
from tui.create import CreateScreen
from tui.environment_detail import DetailScreen
from tui.environment_list import ListScreen
from tui.help import HelpScreen
from tui.live import Away, Changed, Gone, Happened, Listed
from tui.palette import ActionProvider
from tui.screen import AppScreen
from tui.shell import Shell
from tui.theme import CALVINVERSE
from tui.update import UpdateScreen


class CalvinverseApp(Shell):
    """Shows what the service knows, live. All that it knows is here; screens draw it.

    `connect` makes a client from the present context and may raise any `CalvinverseError`; it is called from other
    threads, and again whenever the connection must be made anew. `where` names the service before it was reached.
    """

    TITLE = "Calvinverse"
    CSS_PATH = "calvinverse.tcss"
    COMMANDS: ClassVar[set[Any]] = {ActionProvider}
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", "Quit", show=False, priority=True)]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012  # Textual declares it so
    COMMAND_PALETTE_BINDING = "f1"

    def __init__(
        self,
        connect: Callable[[], Client],
        *,
        clock: Clock,
        make_key: Callable[[], str],
        where: str = "",
        animate: bool = True,
    ) -> None:
        super().__init__(connect, clock=clock, make_key=make_key, where=where)
        self.register_theme(CALVINVERSE)
        self.theme = CALVINVERSE.name
        if not animate:
            self.animation_level = "none"

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own colours, which other themes don't know."""
        return dict(CALVINVERSE.variables)

    def get_default_screen(self) -> ListScreen:
        """The list, below all others."""
        return ListScreen()

    def on_mount(self) -> None:
        """Begins to listen."""
        self.live.start()
        self.set_interval(1.0, self.tick)

    def on_unmount(self) -> None:
        """Lets the service go."""
        self.live.stop()

    def get_system_commands(self, screen: Any) -> Iterator[Any]:
        """None: the palette holds what the registry holds."""
        return iter(())

    # --- what is known -----------------------------------------------------------------------------------------------

    def on_listed(self, message: Listed) -> None:
        """The service is there, and these are all."""
        focused = self.known.get(self.live.focus or "")
        fresh: dict[str, EnvironmentView] = {}
        for view in message.views:
            before = self.known.get(view.id)
            if view.deployment is None and before is not None:
                view = view.model_copy(update={"deployment": before.deployment})
            fresh[view.id] = view
        if focused is not None:
            fresh.setdefault(focused.id, focused)
        self.known = fresh
        back = self.connection.away
        self._heard()
        if back:
            self.say("The service is back.")
        self.picture_changed()

    def on_changed(self, message: Changed) -> None:
        """One has changed."""
        self._heard()
        self.learn(message.view)

    def on_gone(self, message: Gone) -> None:
        """One is no longer there."""
        self.known.pop(message.id, None)
        self.picture_changed()

    def on_happened(self, message: Happened) -> None:
        """Events, for the screen that shows them."""
        events = self.live.take()
        for screen in self.screen_stack:
            if isinstance(screen, DetailScreen) and screen.drawn:
                screen.happened(events)

    def on_away(self, message: Away) -> None:
        """The service can't be asked; what is known stays."""
        now = self.clock.now()
        self.connection = replace(self.connection, here=False, error=message.error, since=self.connection.since or now)
        self.picture_changed()

    def _heard(self) -> None:
        self.connection = Connection(here=True, last_heard=self.clock.now())
        self.where = self.where or self.client().address

    def picture_changed(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, AppScreen) and screen.drawn:
                screen.picture_changed()

    def tick(self) -> None:
        """A second has passed."""
        screen = self.screen
        if isinstance(screen, AppScreen) and screen.drawn:
            screen.tick()

    # --- ways --------------------------------------------------------------------------------------------------------

    def open_detail(self, view: EnvironmentView, *, log_only: bool = False) -> None:
        """Shows one environment; from another one's detail, instead of it."""
        screen = DetailScreen(self.known.get(view.id, view), log_only=log_only)
        if isinstance(self.screen, DetailScreen):
            self.switch_screen(screen)
        else:
            self.push_screen(screen)

    def open_create(self) -> None:
        """Shows the form, with what was typed into it before."""
        self.push_screen(CreateScreen(self.draft))

    def open_update(self, view: EnvironmentView) -> None:
        """Shows the form of an environment."""
        self.push_screen(UpdateScreen(view))

    def open_help(self) -> None:
        """Shows the help."""
        self.push_screen(HelpScreen())


def run(connect_again: Callable[[], Client] | None = None, where: str = "") -> None:
    """Runs the TUI until its user leaves it. Without a way to connect, the context says where the service is.

    `connect_again` is called from other threads, and again whenever the connection must be made anew; what it raises
    is shown. `where` names the service on the screen.
    """
    app = CalvinverseApp(
        connect_again or (lambda: connect(find_context())),
        clock=Clock(now=utc_now, zone=local_zone()),
        make_key=lambda: str(uuid.uuid4()),
        where=where,
    )
    # What was loaded until here stays: the collector needn't walk through it while somebody types.
    gc.collect()
    gc.freeze()
    app.run()
