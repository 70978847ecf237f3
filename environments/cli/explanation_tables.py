"""What the calendar will do to an environment, as a table."""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo

from environments.cli.tables import table
from environments.moments import coarse, moment
from environments.timing_words import WHAT, reason
from environments.wire.environments import ExplanationView


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
            WHAT[due.action],
            reason(due.because),
        )
        for due in view.moments
    ]
    yield from table(("WHEN", "IN UTC", "IN", "WHAT", "WHY"), rows)
