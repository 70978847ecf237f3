"""What the calendar will do to an environment, and what happened to it, as tables."""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo

from environments.cli.tables import table
from environments.moments import coarse, moment
from environments.timing_words import (
    HAPPENED,
    WHAT,
    happened_because,
    held,
    on_behalf_of,
    reason,
    reason_of_attempt,
    why_not,
)
from environments.wire.environments import ExplanationView
from environments.words import one_line


def explanation_lines(view: ExplanationView, zone: tzinfo, now: datetime) -> Iterator[str]:
    """A line for each moment, soonest first; then one for each thing that happened, newest first."""
    if view.pin is not None:
        yield f"{view.pin.by} pinned it until {moment(view.pin.end, zone)}: {one_line(view.pin.reason)}"
    if view.held is not None:
        yield f"{held(view.held.hold, view.held.kind)}."
    if not view.moments:
        yield f"The calendar does nothing to {view.environment}: it lives until somebody destroys it."
    else:
        yield from table(("WHEN", "IN UTC", "IN", "WHAT", "WHY"), _moments(view, zone, now))
    if view.left_out:
        yield ""
        yield "What does not happen:"
        yield from table(("WHEN", "IN UTC", "WHAT", "BY", "WHY NOT"), _left_out(view, zone))
    yield f"Zone database: {view.zone_database}"
    if view.past:
        yield ""
        yield "What happened, newest first:"
        yield from table(("WHEN", "IN UTC", "WHAT", "STATE", "BY", "WHY"), _past(view, zone))


def _moments(view: ExplanationView, zone: tzinfo, now: datetime) -> list[tuple[str, ...]]:
    return [
        (
            moment(due.at, zone),
            f"{due.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            coarse(due.at - now),
            WHAT[due.action],
            reason_of_attempt(due.because, due.attempt),
        )
        for due in view.moments
    ]


def _past(view: ExplanationView, zone: tzinfo) -> list[tuple[str, ...]]:
    return [
        (
            moment(one.at, zone),
            f"{one.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            HAPPENED[one.action],
            "-" if one.state is None else one.state.value,
            on_behalf_of(one.by, one.because) or "-",
            happened_because(one.action, one.because, one.reason),
        )
        for one in view.past
    ]


def _left_out(view: ExplanationView, zone: tzinfo) -> list[tuple[str, ...]]:
    return [
        (
            moment(left.at, zone),
            f"{left.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            WHAT[left.action],
            reason(left.because),
            why_not(left.prevented, lambda at: moment(at, zone)),
        )
        for left in view.left_out
    ]
