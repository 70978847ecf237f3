"""What the service has heard from elsewhere, and what triggers did because of it."""

from starlette.responses import Response

from environments.domain.received_event import ReceivedState, Source
from environments.ui import rooms
from environments.ui.asking import Ask, pages_of
from environments.ui.listing import (
    At,
    Button,
    Choice,
    Code,
    Column,
    Facts,
    Link,
    Table,
    given,
    sign,
    table,
    to_environment,
    told,
)
from environments.ui.visit import Visit
from environments.wire.received_events import ReceivedEventView
from environments.wire.triggers import FiringView
from environments.words import Mood, Sign, shown

MOST = 100
"""Events on the page; the filters find others."""

_MOODS: dict[str, Mood] = {"waiting": "busy", "done": "good", "refused": "bad"}
_FILTERS = (
    Choice("source", "Source", (("", "all"), *((one.value, one.value) for one in Source))),
    Choice("state", "State", (("", "all"), *((one.value, one.value) for one in ReceivedState))),
    Choice("subject", "About"),
    Choice("environment", "Environment"),
)
_COLUMNS: tuple[Column[ReceivedEventView], ...] = (
    Column("Received", lambda one: At(one.received_at, f"/events/{one.id}")),
    Column("Source", lambda one: f"{one.source.value} {one.kind}"),
    Column("About", lambda one: one.subject),
    Column("From", lambda one: one.origin),
    Column("State", lambda one: state_of(one)),
    Column("Why", lambda one: one.reason),
)


def state_of(one: ReceivedEventView) -> Sign:
    """Its state with a colour."""
    return sign(one.state.value, _MOODS.get(one.state.value, "plain"))


def show(visit: Visit) -> Response:
    """The newest ones that pass the filters."""
    asked = given(visit, _FILTERS)
    found = visit.client.received_events(asked, MOST)
    return told(
        visit,
        "Received events",
        [table(_COLUMNS, found, "Nothing was received that you may see, or nothing passes the filters.")],
        beside=rooms.EVENTS,
        filters=_FILTERS,
    )


def show_one(visit: Visit) -> Response:
    """One with its fields, which strangers wrote, and what triggers did."""
    one = visit.client.received_event(visit.params["id"])
    facts = Facts(
        [
            ("Source", f"{one.source.value} {one.kind}"),
            ("About", one.subject),
            ("From", one.origin),
            ("Delivery", Code(one.delivery)),
            ("Happened", one.at),
            ("Received", one.received_at),
            ("State", state_of(one)),
            ("Why", one.reason),
            ("Repeats", Link(one.replay_of, f"/events/{one.replay_of}") if one.replay_of else None),
        ]
    )
    fields = Table(
        ["Field", "Value"], [[name, shown(value)] for name, value in one.fields.items()], "It has none.", "Fields"
    )
    more = f" And {one.more_firings} more." if one.more_firings else ""
    did = table(FIRINGS, one.firings, "No trigger did anything that you may see.", "What triggers did" + more)
    return told(
        visit,
        f"Event {one.id}",
        [facts, did, fields],
        up=Link("Received events", "/events"),
        buttons=[Button("Replay", f"/events/{one.id}/replay")],
    )


def _replaying(visit: Visit) -> Ask:
    one = visit.client.received_event(visit.params["id"])
    return Ask(
        "event.replay",
        f"Replay {one.id}",
        ["The event is received again, and triggers look at it as at a new one.", f"{one.source} {one.kind}"],
        back=f"/events/{one.id}",
    )


def _replay(visit: Visit) -> str:
    return f"/events/{visit.client.replay_event(visit.params['id']).id}"


def _state_of_firing(one: FiringView) -> Sign:
    moods: dict[str, Mood] = {"pending": "busy", "done": "good", "refused": "bad", "failed": "bad"}
    return sign(one.state.value.replace("_", " "), moods.get(one.state.value, "gone"))


FIRINGS: tuple[Column[FiringView], ...] = (
    Column("Trigger", lambda one: Link(one.trigger, f"/triggers/{one.trigger_id}")),
    Column("Does", lambda one: one.action.value),
    Column("Environment", lambda one: to_environment(one.environment)),
    Column("For", lambda one: one.owner),
    Column("State", _state_of_firing),
    Column("Why", lambda one: one.reason),
    Column("When", lambda one: one.done_at or one.due_at),
)
"""What a trigger did."""

PAGES = (
    ("GET", "/events", show),
    ("GET", "/events/{id}", show_one),
    *pages_of("/events/{id}/replay", _replaying, _replay),
)
