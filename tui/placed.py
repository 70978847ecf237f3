"""What all screens of the registry share: where they are, what can't be done there and why, and the common keys."""

from typing import ClassVar

from environments.actions.action import Action, Place, Risk
from environments.actions.refusal import not_allowed
from environments.actions.registry import action
from environments.wire.sign_in import WhoView
from tui.screen import AppScreen


class PlacedScreen(AppScreen):
    """A screen with actions. Its `action_…` methods are named after the ids of the registry."""

    PLACE: ClassVar[Place]

    def why_not(self, act: Action) -> str | None:
        """Why an action isn't possible now, as a sentence; None if it is. For the palette, without the connection."""
        return not_allowed(act, self.shell.role)

    def about(self, act: Action) -> str:
        """The name of what an action applies to here; empty if that isn't one thing."""
        return ""

    def refuses(self, act: Action) -> bool:
        """Whether an action isn't possible now; says why."""
        why_not = self.why_not(act) or (self.shell.why_unavailable() if act.risk is not Risk.READ else None)
        if why_not is not None:
            self.shell.say(why_not, severity="warning")
        return why_not is not None

    def action_policy_list(self) -> None:
        """Opens the policies."""
        self.shell.open_list(Place.POLICIES)

    def action_calendar_list(self) -> None:
        """Opens the holiday calendars."""
        self.shell.open_list(Place.CALENDARS)

    def action_warning_channels(self) -> None:
        """Opens the channels of warnings."""
        if not self.refuses(action("warning.channels")):
            self.shell.open_list(Place.CHANNELS)

    def action_hold_list(self) -> None:
        """Opens the holds."""
        self.shell.open_list(Place.HOLDS)

    def action_trigger_list(self) -> None:
        """Opens the triggers."""
        self.shell.open_list(Place.TRIGGERS)

    def action_event_list(self) -> None:
        """Opens the received events."""
        self.shell.open_list(Place.EVENTS)

    def action_preview_list(self) -> None:
        """Opens the previews."""
        self.shell.open_list(Place.PREVIEWS)

    def action_session_whoami(self) -> None:
        """Says who is signed in, in which role and groups, and until when."""

        def known(who: WhoView) -> None:
            groups = f", in {', '.join(group.name for group in who.groups)}" if who.groups else ""
            ends = f" Your session ends {self.shell.clock.moment(who.ends_at)}." if who.ends_at is not None else ""
            self.shell.say(f"You are {who.user_name}, {who.role}{groups}.{ends}")

        client = self.shell.client
        self.ask(
            lambda: client().who_am_i(), known, lambda error: self.shell.complain("Who you are isn't known", error)
        )

    def action_view_reload(self) -> None:
        """Fetches everything from the service again."""
        why_not = self.shell.why_unavailable()
        if why_not is None:
            self.shell.live.reload()
            self.shell.say("Asked the service again.")
        else:
            self.shell.say(why_not, severity="warning")

    def action_view_palette(self) -> None:
        """Opens the palette."""
        self.shell.action_command_palette()

    def action_view_help(self) -> None:
        """Opens the help."""
        self.shell.open_help()

    def action_view_back(self) -> None:
        """Closes this screen."""
        self.shell.pop_screen()

    def action_view_quit(self) -> None:
        """Ends the application; whatever runs in the service continues."""
        self.shell.exit()
