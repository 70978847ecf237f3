"""The application: handles what the service reports, and opens the screens."""

import gc
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from environments.actions.action import Place
from environments.client import Client, connect
from environments.context import find_context
from environments.moments import local_zone
from environments.wire.environments import EnvironmentView
from tui.bars import Connection
from tui.calendars import CalendarsScreen
from tui.channels import ChannelsScreen
from tui.clock import Clock, utc_now
from tui.create import CreateScreen
from tui.environment_detail import DetailScreen
from tui.environment_list import ListScreen
from tui.help import HelpScreen
from tui.holds import HoldsScreen
from tui.live import Away, Changed, Gone, Happened, Listed
from tui.palette import ActionProvider
from tui.policies import PoliciesScreen
from tui.previews import PreviewsScreen
from tui.received_events import EventsScreen
from tui.rules import RulesScreen
from tui.screen import AppScreen
from tui.shell import Shell
from tui.theme import CALVINVERSE
from tui.things import ThingsScreen
from tui.triggers import EnvironmentTriggersScreen, TriggersScreen
from tui.update import UpdateScreen

_LISTS: dict[Place, type[ThingsScreen[Any]]] = {
    Place.POLICIES: PoliciesScreen,
    Place.CALENDARS: CalendarsScreen,
    Place.CHANNELS: ChannelsScreen,
    Place.HOLDS: HoldsScreen,
    Place.TRIGGERS: TriggersScreen,
    Place.EVENTS: EventsScreen,
    Place.PREVIEWS: PreviewsScreen,
}
"""What `open_list` shows."""


class CalvinverseApp(Shell):
    """Shows the state of the service, live. The state is kept here; screens draw it.

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
        """The colours of our theme, which other themes don't define."""
        return dict(CALVINVERSE.variables)

    def get_default_screen(self) -> ListScreen:
        """The list, which is below all other screens."""
        return ListScreen()

    def on_mount(self) -> None:
        """Starts to listen to the service."""
        self.live.start()
        self.set_interval(1.0, self.tick)

    def on_unmount(self) -> None:
        """Disconnects from the service."""
        self.live.stop()

    def get_system_commands(self, screen: Any) -> Iterator[Any]:
        """None: the palette shows the actions of the registry only."""
        return iter(())

    # --- what is known -----------------------------------------------------------------------------------------------

    def on_listed(self, message: Listed) -> None:
        """The service answered with all environments."""
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
        back, signed_out = self.connection.away, self.connection.signed_out
        if back or not self.role:
            self.learn_role()
        self._heard()
        if back:
            self.say("You are signed in again." if signed_out else "The service is back.")
        self.state_changed()

    def on_changed(self, message: Changed) -> None:
        """An environment has changed."""
        self._heard()
        self.learn(message.view)

    def on_gone(self, message: Gone) -> None:
        """An environment no longer exists, or the caller sees it no longer: closes what shows it."""
        self.known.pop(message.id, None)
        for screen in list(self.screen_stack):
            if (
                isinstance(screen, DetailScreen | RulesScreen | EnvironmentTriggersScreen)
                and screen.current().id == message.id
            ):
                self.say(f"{screen.current().name} is gone, or you don't see it any more.", severity="warning")
                while screen in self.screen_stack:
                    self.pop_screen()
                break
        self.state_changed()

    def on_happened(self, message: Happened) -> None:
        """Hands events to the screens that show them, or what follows from them."""
        events = self.live.take()
        for screen in self.screen_stack:
            if isinstance(screen, DetailScreen | ThingsScreen) and screen.is_drawn:
                screen.happened(events)

    def on_away(self, message: Away) -> None:
        """The service can't be reached; the known state is kept."""
        now = self.clock.now()
        self.connection = replace(self.connection, here=False, error=message.error, since=self.connection.since or now)
        self.state_changed()

    def _heard(self) -> None:
        self.connection = Connection(here=True, last_heard=self.clock.now())
        self.where = self.where or self.client().address

    def state_changed(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, AppScreen) and screen.is_drawn:
                screen.state_changed()

    def tick(self) -> None:
        """A second has passed."""
        for screen in self.screen_stack[-1:]:  # none while the application ends
            if isinstance(screen, AppScreen) and screen.is_drawn:
                screen.tick()

    # --- ways --------------------------------------------------------------------------------------------------------

    def open_detail(self, view: EnvironmentView, *, log_only: bool = False) -> None:
        """Shows one environment; replaces the detail of another one."""
        screen = DetailScreen(self.known.get(view.id, view), log_only=log_only)
        if isinstance(self.screen, DetailScreen):
            self.switch_screen(screen)
        else:
            self.push_screen(screen)

    def open_create(self) -> None:
        """Shows the form, with what was typed into it earlier."""
        self.push_screen(CreateScreen(self.draft))

    def open_update(self, view: EnvironmentView) -> None:
        """Shows the form that updates an environment."""
        self.push_screen(UpdateScreen(view))

    def open_rules(self, view: EnvironmentView) -> None:
        """Shows the rules of an environment."""
        self.push_screen(RulesScreen(view))

    def open_triggers(self, view: EnvironmentView) -> None:
        """Shows the triggers of an environment."""
        self.push_screen(EnvironmentTriggersScreen(view))

    def open_events(self, view: EnvironmentView) -> None:
        """Shows the received events of an environment."""
        self.push_screen(EventsScreen(view))

    def open_list(self, place: Place) -> None:
        """Shows a list of things of the service; replaces another one."""
        present = self.screen
        if type(present) is _LISTS[place]:
            present.reload()
        elif isinstance(present, tuple(_LISTS.values())):
            self.switch_screen(_LISTS[place]())
        else:
            self.push_screen(_LISTS[place]())

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
    # Whatever is loaded by now is kept: the garbage collector needn't scan it while somebody types.
    gc.collect()
    gc.freeze()
    app.run()
