"""Triggers, firings, received events and dry runs as lines."""

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from environments.cli.tables import pairs, section, short, table
from environments.domain.trigger import FiringState
from environments.moments import moment
from environments.trigger_words import FIRINGS, TRIGGERS, definition_lines, field_lines, stands
from environments.wire.received_events import ReceivedEventDetailsView, ReceivedEventView
from environments.wire.triggers import (
    FiringView,
    TestedEventView,
    TriggerDetailsView,
    TriggerTestView,
    TriggerView,
)


def trigger_lines(found: Sequence[TriggerView]) -> Iterator[str]:
    """A line for each trigger."""
    rows = [
        (
            one.name,
            str(TRIGGERS[one.state]),
            one.on.value,
            one.action.value,
            stands(one),
            one.owner,
            one.id,
        )
        for one in found
    ]
    yield from table(("NAME", "STATE", "ON", "ACTION", "STANDS", "FOR", "ID"), rows)


def trigger_detail_lines(one: TriggerDetailsView, zone: tzinfo) -> Iterator[str]:
    """A trigger, its definition and what it did last."""
    yield from pairs(
        (
            ("id", one.id),
            ("state", str(TRIGGERS[one.state])),
            ("reason", one.reason),
            ("acts for", one.owner),
            ("stands", stands(one)),
            ("set", f"{moment(one.created_at, zone)} by {one.created_by}" if one.created_at else ""),
        )
    )
    yield from section("Definition", definition_lines(one.definition))
    yield from section("Newest firings", firing_lines(one.firings, zone, event=True) if one.firings else ())


def firing_lines(found: Sequence[FiringView], zone: tzinfo, *, event: bool = False) -> Iterator[str]:
    """A line for each firing; `event`: with the event that led to it, else with the trigger."""
    rows = [
        (
            one.event_id if event else one.trigger,
            one.environment or "-",
            one.action.value,
            str(FIRINGS[one.state]),
            one.deployment_id or "-",
            _why(one, zone),
        )
        for one in found
    ]
    yield from table(("EVENT" if event else "TRIGGER", "ENVIRONMENT", "ACTION", "STATE", "DEPLOYMENT", "WHY"), rows)


def event_lines(found: Sequence[ReceivedEventView], zone: tzinfo) -> Iterator[str]:
    """A line for each received event."""
    rows = [
        (
            one.id,
            moment(one.received_at, zone),
            one.source.value,
            one.kind,
            short(one.subject),
            one.origin,
            one.state.value + (f": {short(one.reason)}" if one.reason else ""),
        )
        for one in found
    ]
    yield from table(("ID", "RECEIVED", "SOURCE", "KIND", "ABOUT", "FROM", "STATE"), rows)


def event_detail_lines(one: ReceivedEventDetailsView, zone: tzinfo) -> Iterator[str]:
    """A received event, its fields, and what triggers did because of it."""
    yield from pairs(
        (
            ("id", one.id),
            ("source", f"{one.source.value} {one.kind}"),
            ("about", one.subject),
            ("from", one.origin),
            ("delivery", one.delivery),
            ("happened", moment(one.at, zone) if one.at else ""),
            ("received", moment(one.received_at, zone)),
            ("state", one.state.value),
            ("reason", one.reason),
            ("replay of", one.replay_of or ""),
            ("after", f"{one.hops} firing{'' if one.hops == 1 else 's'}" if one.hops else ""),
        )
    )
    yield from section("Fields", field_lines(one.fields))
    yield from section("What triggers did", firing_lines(one.firings, zone) if one.firings else ())
    if one.more_firings:
        yield f"  and {one.more_firings} more"


def tried_lines(found: TriggerTestView) -> Iterator[str]:
    """What each event would do."""
    if found.ignored:
        yield f"The delivery tells of no event: {found.ignored}."
    for number, event in enumerate(found.events):
        if number:
            yield ""
        yield from _tested(event)


def _tested(event: TestedEventView) -> Iterator[str]:
    about = f" about {event.subject}" if event.subject else ""
    origin = f", from {event.origin}" if event.origin else ""
    yield f"{event.source.value} {event.kind}{about}{origin}"
    yield from section("Fields", field_lines(event.fields))
    hits = [
        (
            one.trigger,
            one.environment or "-",
            one.action.value,
            one.owner,
            "allowed" if one.allowed else f"refused: {one.reason}",
        )
        for one in event.hits
    ]
    head = ("TRIGGER", "ENVIRONMENT", "ACTION", "FOR", "RIGHTS")
    yield from section("Would act", table(head, hits) if hits else ("nothing",))
    if event.more_hits:
        yield f"  and {event.more_hits} more"
    misses = [(one.trigger, one.environment or "-", one.owner, one.reason) for one in event.misses]
    yield from section("Would not", table(("TRIGGER", "ENVIRONMENT", "FOR", "WHY NOT"), misses) if misses else ())
    if event.more_misses:
        yield f"  and {event.more_misses} more"


def _why(one: FiringView, zone: tzinfo) -> str:
    if one.state is FiringState.PENDING and one.due_at is not None and one.reason:
        return f"{one.reason} (again at {moment(one.due_at, zone)})"
    return one.reason
