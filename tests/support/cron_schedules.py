"""Schedules, zones and moments for property tests of calendar rules."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import strategies as st

from tests.support.cron_oracle import Schedule

ZONES = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc", "right", "posix")))


def _field(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    every = frozenset(range(low, high + 1))
    some = st.frozensets(st.sampled_from(sorted(every)), min_size=1, max_size=4)
    steps = st.integers(2, max(2, (high - low) // 2))
    return st.one_of(
        st.just(("*", every)),
        some.map(lambda values: (",".join(map(str, sorted(values))), values)),
        steps.map(lambda step: (f"*/{step}", frozenset(sorted(every)[::step]))),
        some.map(lambda values: (f"{min(values)}-{max(values)}", frozenset(range(min(values), max(values) + 1)))),
    )


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    """Five fields, and what they mean."""
    drawn = [draw(_field(*limits)) for limits in ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))]
    texts = [text for text, _ in drawn]
    minutes, hours, days, months, weekdays = [found for _, found in drawn]
    return Schedule(
        " ".join(texts),
        minutes,
        hours,
        days,
        months,
        weekdays,
        fixed=not texts[0].startswith("*") and not texts[1].startswith("*"),
        either=not texts[2].startswith("*") and not texts[4].startswith("*"),
    )


def changes(zone: ZoneInfo, year: int) -> list[datetime]:
    """The hours of a year before which the zone's offset changes."""
    hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=count) for count in range(24 * 366)]
    return [now for now, then in pairwise(hours) if _offset(now, zone) != _offset(then, zone)]


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()
