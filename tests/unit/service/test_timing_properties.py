"""The deadline of everything that sets one, beside an oracle that has no library for cron."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from environments.domain.calendar_rule import CalendarRule
from environments.domain.timing import Because, Pin, Source, TimedAction
from environments.service.cron import rule_fault
from environments.service.timing import Due, TimedRule, Timing, deadline
from tests.support.cron_oracle import Schedule, fires
from tests.support.cron_schedules import ZONES, changes, schedules

HOURS = st.integers(0, 72).map(lambda hours: timedelta(hours=hours))
LATEST = timedelta(days=4)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    ruled=st.lists(st.tuples(schedules(), HOURS), max_size=3),
    name=st.sampled_from(ZONES),
    year=st.integers(2026, 2046),
    extended=st.none() | HOURS,
    lifetime=st.none() | HOURS,
    pinned=st.none() | HOURS,
    past_maximum=st.booleans(),
    maximum=HOURS.map(lambda hours: min(hours + timedelta(hours=1), LATEST)),
    holidays=st.frozensets(st.integers(0, 4)),
)
def test_the_deadline_is_the_earliest_that_counts(
    data: st.DataObject,
    ruled: list[tuple[Schedule, timedelta]],
    name: str,
    year: int,
    extended: timedelta | None,
    lifetime: timedelta | None,
    pinned: timedelta | None,
    past_maximum: bool,
    maximum: timedelta,
    holidays: frozenset[int],
) -> None:
    zone = ZoneInfo(name)
    made = data.draw(st.sampled_from([*changes(zone, year), datetime(year, 6, 1, tzinfo=UTC)])) - timedelta(hours=30)
    rules = [(schedule, CalendarRule(schedule=schedule.text, zone=name, without=("days",))) for schedule, _ in ruled]
    assume(all(rule_fault(rule) is None for _, rule in rules))
    since = [made + hours for _, hours in ruled]
    days = frozenset((made.astimezone(zone) + timedelta(days=number)).date() for number in holidays)
    counts_from = made + (extended or timedelta())
    latest = made + maximum
    pin = (
        None
        if pinned is None
        else Pin(end=made + pinned, by="ada", reason="a test", since=made, past_maximum=past_maximum)
    )
    because = Because(source=Source.UNKNOWN)
    timing = Timing(
        counts_from,
        None if lifetime is None else Due(made + lifetime, TimedAction.DESTROY, because),
        Due(latest, TimedAction.DESTROY, because),
        [TimedRule(TimedAction.DESTROY, rule, begins, because) for (_, rule), begins in zip(rules, since, strict=True)],
        pin,
    )
    found = deadline(timing, {"days": days})

    candidates = [] if lifetime is None else [max(made + lifetime, pin.end) if pin else made + lifetime]
    for (schedule, _), begins in zip(rules, since, strict=True):
        begin = max(begins, counts_from, *([pin.end] if pin else []))
        counted = (at for at in fires(schedule, zone, begin, made + LATEST) if at.astimezone(zone).date() not in days)
        candidates.extend(list(counted)[:1])
    candidates.append(max(latest, pin.end) if pin and past_maximum else latest)
    assert found is not None
    assert found.at == min(candidates)
