"""What the calendar will do to an environment, as a table."""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo

from environments.cli.tables import table
from environments.domain.timing import Because, Source, TimedAction
from environments.moments import coarse, moment
from environments.wire.environments import ExplanationView

_WHAT = {
    TimedAction.DESTROY: "is destroyed",
    TimedAction.STOP: "is stopped",
    TimedAction.START: "is started",
}


def explanation_lines(view: ExplanationView, zone: tzinfo, now: datetime) -> Iterator[str]:
    """A line for each moment, soonest first."""
    if not view.moments:
        yield f"The calendar does nothing to {view.environment}: it lives until somebody destroys it."
        return
    rows = [
        (
            moment(due.at, zone),
            f"{due.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            coarse(due.at - now),
            _WHAT[due.action],
            why(due.because),
        )
        for due in view.moments
    ]
    yield from table(("WHEN", "IN UTC", "IN", "WHAT", "WHY"), rows)


def why(because: Because) -> str:
    """One sentence without a full stop."""
    match because.source:
        case Source.LIFETIME:
            return "the default lifetime of its template is over"
        case Source.PERSON:
            return f"{because.by} set this deadline"
        case Source.TEMPLATE:
            return f"rule {because.rule!r} of {because.place}"
        case Source.ENVIRONMENT:
            return f"rule {because.rule!r}, set by {because.by}"
        case Source.MAXIMUM:
            return "its template allows no longer life"
        case Source.PIN:
            return f"the pin of {because.by} ends"
        case Source.OWNER_POLICY | Source.TEMPLATE_POLICY:
            return f"rule {because.rule!r} of the policy {because.place}"
        case Source.UNKNOWN:
            return "set before the service recorded why"
