"""The received events: what happened elsewhere, and what triggers did because of it."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content

from environments.actions.action import Place
from environments.actions.registry import action
from environments.client import Client
from environments.domain.received_event import ReceivedState
from environments.moments import coarse
from environments.trigger_words import RECEIVED
from environments.wire.environments import EnvironmentView
from environments.wire.received_events import ReceivedEventDetailsView, ReceivedEventView
from environments.words import one_line
from tui import trigger_sections
from tui.details import DetailedScreen
from tui.dialogs import ConfirmDialog
from tui.keys import bindings
from tui.received_event_dialogs import EventDialog, FilterDialog, Wanted
from tui.rows import Column
from tui.sections import STYLES
from tui.things import Cell, keys_text

MOST = 200
"""Events that are listed: the newest ones."""

_SHOWN = 3
"""Firings of the selected event that are shown."""


class EventsScreen(DetailedScreen[ReceivedEventView, ReceivedEventDetailsView]):
    """Lists the newest ones that the caller sees; admins replay one."""

    PLACE = Place.EVENTS
    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.EVENTS)
    FOLLOWS = True
    COLUMNS = (
        Column("subject", "About", 0),
        Column("source", "Source", 16),
        Column("kind", "What", 10),
        Column("received", "Received", 10),
        Column("state", "State", 9),
        Column("origin", "From", 16, needs=100),
    )

    def __init__(self, view: EnvironmentView | None = None) -> None:
        """`view`: an environment whose events are wanted."""
        super().__init__()
        self._wanted = Wanted(environment=view.name if view is not None else "")

    # --- showing -----------------------------------------------------------------------------------------------------

    def load(self, client: Client) -> Sequence[ReceivedEventView]:
        """Those that fit the filter, newest first."""
        return client.received_events(self._wanted.query(), MOST)

    def load_details(self, client: Client, thing: ReceivedEventView) -> ReceivedEventDetailsView:
        """With what triggers did."""
        return client.received_event(thing.id)

    def heading(self) -> Content:
        """How many there are, and which."""
        things = self.things or ()
        count = f" — {len(things)}" if things else ""
        newest = " newest" if len(things) == MOST else ""
        title = (f"Received events{count}{newest}", "bold $accent")
        said = self._wanted.said()
        if not said:
            return Content.assemble(title)
        return Content.assemble(title, (f"\nonly {one_line(said)}; ", "$warning"), keys_text("/", " changes that"))

    def key_of(self, thing: ReceivedEventView) -> str:
        """Its id."""
        return thing.id

    def cells(self, thing: ReceivedEventView) -> Sequence[Cell]:
        """What happened to what, when, and what has become of the event."""
        sign = RECEIVED[thing.state]
        return (
            (one_line(thing.subject) or "-", "plain"),
            (thing.source.value, "plain"),
            (one_line(thing.kind), "plain"),
            (f"{coarse(self.shell.clock.now() - thing.received_at)} ago", "gone"),
            (str(sign), sign.mood),
            (one_line(thing.origin), "gone"),
        )

    def in_full(self, thing: ReceivedEventView) -> Content:
        """When it came, and what triggers did."""
        clock = self.shell.clock
        again = f", a replay of {thing.replay_of}" if thing.replay_of else ""
        lines = [
            Content.assemble(
                (one_line(thing.subject) or "-", "bold"),
                f"  received {clock.moment(thing.received_at)} from {one_line(thing.origin)}{again}",
                (f"  {thing.id}", "$faint"),
            )
        ]
        details = self.details(thing)
        if thing.reason:
            sign = RECEIVED[thing.state]
            lines.append(Content.assemble((f"{sign}: {one_line(thing.reason)}", STYLES[sign.mood])))
        elif thing.state is ReceivedState.WAITING:
            lines.append(Content.assemble(("Triggers haven't been matched with it yet.", "$faint")))
        elif details is not None and not details.firings:
            lines.append(Content.assemble((trigger_sections.NOTHING_DONE, "$faint")))
        if details is not None and details.firings:
            lines.append(trigger_sections.firings(details.firings, clock, _SHOWN, details.more_firings))
        return Content("\n").join(lines)

    def none_yet(self) -> Content:
        """Where they come from."""
        if self._wanted.said():
            return Content.assemble(
                ("No received event fits the filter.\n\n", "bold"), keys_text("/", " changes the filter.")
            )
        return Content.assemble(
            ("No event that you may see was received.\n\n", "bold"),
            "Forges, webhooks, Nomad, Consul and other environments tell what happens there.\n"
            "Events are kept for 30 days; who is no admin sees those that led\n"
            "to something on an environment that they see. ",
            keys_text("T", " lists the triggers.\n\n"),
            "Try one out with\n\n",
            ("calvinverse trigger test FILE", "$secondary"),
        )

    # --- acting ------------------------------------------------------------------------------------------------------

    def action_event_show(self) -> None:
        """Shows its fields, and everything that triggers did."""
        event = self.chosen(action("event.show"), "No event is selected.")
        if event is not None:
            self.shell.push_screen(EventDialog(event, self.shell.clock))

    def action_event_filter(self) -> None:
        """Asks which ones are wanted."""
        self.shell.push_screen(FilterDialog(self._wanted, self._filter))

    def _filter(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self.things, self._fault = None, None  # none of them may fit
        self.reload()
        self.draw()

    def action_event_replay(self) -> None:
        """Asks for confirmation."""
        event = self.chosen(action("event.replay"), "No event is selected.")
        if event is None:
            return
        if event.state is ReceivedState.REFUSED:
            self.shell.say(f"{event.id} was refused, and would be refused again.", severity="warning")
            return
        self.shell.push_screen(
            ConfirmDialog(
                f"Replay {event.id}",
                "Replay",
                f"A new event says the same ({event.source.value} {event.kind} of {one_line(event.subject)}). Triggers "
                "are matched with it as they are now, and act; what they do follows from what the source says now.",
                lambda client: client.replay_event(event.id),
                f"{event.id} is received again.",
            )
        )
