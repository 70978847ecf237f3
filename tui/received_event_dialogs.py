"""The dialogs of received events: one with all that it says, and the filter."""

from collections.abc import Callable
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.content import Content

from environments.client import Client
from environments.client.connection import Query
from environments.domain.received_event import ReceivedState, Source
from environments.trigger_words import RECEIVED
from environments.wire.received_events import ReceivedEventDetailsView, ReceivedEventView
from environments.words import one_line
from tui import trigger_sections
from tui.clock import Clock
from tui.details import DetailDialog
from tui.dialogs import Dialog
from tui.fields import ChoiceField, FormField, TextField
from tui.sections import STYLES

_SHOWN = 100
"""Firings that are shown."""


@dataclass(frozen=True)
class Wanted:
    """Which events are listed; empty or None: all."""

    environment: str = ""
    subject: str = ""
    source: Source | None = None
    state: ReceivedState | None = None

    def query(self) -> Query:
        """As the service is asked."""
        return {
            "environment": self.environment or None,
            "subject": self.subject or None,
            "source": self.source.value if self.source is not None else None,
            "state": self.state.value if self.state is not None else None,
        }

    def said(self) -> str:
        """In words; empty: all."""
        parts = [
            f"of {self.environment}" if self.environment else "",
            f"about {self.subject}" if self.subject else "",
            f"from {self.source.value}" if self.source is not None else "",
            f"that are {self.state.value}" if self.state is not None else "",
        ]
        return ", ".join(part for part in parts if part)


class FilterDialog(Dialog):
    """Asks which events are wanted."""

    def __init__(self, wanted: Wanted, chosen: Callable[[Wanted], None]) -> None:
        super().__init__("Filter received events", "Show")
        self._wanted = wanted
        self._chosen = chosen

    def body(self) -> ComposeResult:
        """What there is to filter by."""
        wanted = self._wanted
        yield TextField(
            "environment", "Environment", "its name: about it, or with a firing on it", value=wanted.environment
        )
        yield TextField("subject", "About", "exactly, such as acme/shop#12", value=wanted.subject)
        sources = [("any", None), *((one.value, one) for one in Source)]
        yield ChoiceField("source", "Source", sources, value=wanted.source)
        states = [("any", None), *((str(RECEIVED[one]), one) for one in ReceivedState)]
        yield ChoiceField("state", "State", states, value=wanted.state)

    def on_mount(self) -> None:
        """Focuses the first field."""
        super().on_mount()
        self.query(FormField).first().control().focus()

    def go(self) -> None:
        """Lists those."""
        found = {field.key: field.value for field in self.query(FormField)}
        wanted = Wanted(
            found["environment"].strip(), found["subject"].strip(), found["source"] or None, found["state"] or None
        )
        self.dismiss(True)
        self._chosen(wanted)


class EventDialog(DetailDialog[ReceivedEventDetailsView]):
    """Shows a received event."""

    def __init__(self, event: ReceivedEventView, clock: Clock) -> None:
        super().__init__(f"{event.source.value} {one_line(event.kind)}", clock)
        self._event = event

    def load(self, client: Client) -> ReceivedEventDetailsView:
        """With what triggers did."""
        return client.received_event(self._event.id)

    def told(self, found: ReceivedEventDetailsView | None) -> Content:
        """What it says, and what triggers did because of it."""
        event = self._event if found is None else found
        parts = [
            Content("\n").join(self._facts(event)),
            trigger_sections.section("Says (strangers wrote it)", trigger_sections.fields(event.fields)),
        ]
        if found is not None:
            did = (
                trigger_sections.firings(found.firings, self.clock, _SHOWN, found.more_firings)
                if found.firings
                else Content.assemble((trigger_sections.NOTHING_DONE, "$faint"))
            )
            parts.insert(1, trigger_sections.section("What triggers did", did))
        return Content("\n\n").join(parts)

    def _facts(self, event: ReceivedEventView) -> list[Content]:
        moment = self.clock.moment
        sign = RECEIVED[event.state]
        reason = f": {one_line(event.reason)}" if event.reason else ""
        happened = f", happened {moment(event.at)}" if event.at is not None else ""
        hops = f"after {event.hops} firing{'' if event.hops == 1 else 's'}" if event.hops else ""
        again = f"a replay of {event.replay_of}" if event.replay_of else ""
        more = ", ".join(part for part in (hops, again) if part)
        lines = [
            Content.assemble((one_line(event.subject) or "-", "bold"), (f"  {event.id}", "$faint")),
            Content.assemble((f"{sign}{reason}", STYLES[sign.mood])),
            Content(f"received {moment(event.received_at)} from {one_line(event.origin)}{happened}"),
            Content.assemble((f"delivery {one_line(event.delivery)}", "$faint")),
        ]
        return [*lines, Content(more)] if more else lines
