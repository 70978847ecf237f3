"""Rules of the calendar: read from text, and fired at the right moments in every zone, beside an oracle."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from environments.domain.calendar_rule import CalendarRule, parse_rule
from environments.domain.errors import InvalidLifetime
from environments.service import cron
from environments.service.cron import moments, rule_fault
from tests.support.cron_oracle import Schedule, fires
from tests.support.cron_schedules import ZONES, changes, schedules


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("0 19 * * 1-5 Europe/Amsterdam", CalendarRule(schedule="0 19 * * 1-5", zone="Europe/Amsterdam")),
        ("0 19 * * 1-5", CalendarRule(schedule="0 19 * * 1-5")),
        ("  0  19 * * 1-5  except nl, be ", CalendarRule(schedule="0 19 * * 1-5", without=("nl", "be"))),
        ("0 7 1 * * UTC except nl", CalendarRule(schedule="0 7 1 * *", without=("nl",))),
    ],
)
def test_a_rule_is_read_and_written(text: str, rule: CalendarRule) -> None:
    assert parse_rule(text) == rule
    assert parse_rule(str(rule)) == rule


@pytest.mark.parametrize(
    "text", ["", "0 19 * *", "0 19 * * 1 UTC except", "0 19 * * 1 UTC but nl", "0 19 * * 1 UTC except N_L", "* " * 400]
)
def test_what_is_no_rule_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidLifetime) as caught:
        parse_rule(text)
    assert "Europe/Amsterdam" in caught.value.hint


def test_a_rule_that_never_fires_or_has_no_zone_is_told() -> None:
    assert rule_fault(parse_rule("0 19 * * 1-5 Europe/Amsterdam")) is None
    assert "Europe/Amsterdm" in (rule_fault(parse_rule("0 19 * * 1-5 Europe/Amsterdm")) or "")
    assert "31 2" in (rule_fault(parse_rule("0 0 31 2 *")) or "")


def test_days_of_a_holiday_calendar_are_left_out() -> None:
    rule = parse_rule("0 19 * * 1-5 Europe/Amsterdam except nl")
    holidays = {"nl": frozenset({date(2027, 4, 27)})}
    found = moments(rule, datetime(2027, 4, 26, 18, tzinfo=UTC), holidays)
    assert [f"{moment:%d}" for moment in islice(found, 2)] == ["28", "29"]


def test_a_rule_whose_days_are_all_left_out_ends() -> None:
    rule = parse_rule("0 0 1 1 * UTC except none")
    holidays = {"none": frozenset(date(year, 1, 1) for year in range(2020, 2060))}
    assert list(moments(rule, datetime(2027, 1, 2, tzinfo=UTC), holidays)) == []


@pytest.mark.parametrize(
    ("schedule", "first"),
    [
        ("* 0 * * 0", datetime(2026, 4, 4, 21, tzinfo=UTC)),
        ("* 1 * * 0", datetime(2026, 3, 28, 22, tzinfo=UTC)),
        ("* 2 * * 0", datetime(2026, 3, 28, 23, tzinfo=UTC)),
        ("*/20 * * * 0", datetime(2026, 3, 28, 22, tzinfo=UTC)),
        ("0 0 * * 0", datetime(2026, 3, 28, 22, tzinfo=UTC)),
    ],
)
def test_a_midnight_that_clocks_skip(schedule: str, first: datetime) -> None:
    """In Beirut the 29th of March 2026 begins at one. A fixed time comes then, elapsed time has no minutes before."""
    found = moments(CalendarRule(schedule=schedule, zone="Asia/Beirut"), datetime(2026, 3, 28, 12, tzinfo=UTC), {})
    assert next(found) == first


def test_half_an_hour_that_clocks_skip() -> None:
    """On Lord Howe the 4th of October 2026 has no time from 2:00 to 2:30."""
    rule = CalendarRule(schedule="* 3 * * *", zone="Australia/Lord_Howe")
    assert next(moments(rule, datetime(2026, 10, 3, 12, tzinfo=UTC), {})) == datetime(2026, 10, 3, 16, tzinfo=UTC)


def test_the_many_moments_of_days_that_are_left_out_are_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    class Counting(CronSim):
        def __next__(self) -> datetime:
            nonlocal made
            made += 1
            return super().__next__()

    monkeypatch.setattr(cron, "CronSim", Counting)
    first = date(2027, 1, 1)
    holidays = {"all": frozenset(first + timedelta(days=number) for number in range(3000))}
    rule = parse_rule("* * * * * Europe/Amsterdam except all")
    start = datetime(2027, 1, 1, 12, tzinfo=UTC)
    assert next(moments(rule, start, holidays)) == datetime(2035, 3, 19, 23, tzinfo=UTC)
    assert made < 300


@settings(max_examples=60, deadline=None)
@given(data=st.data(), schedule=schedules(), name=st.sampled_from(ZONES), year=st.integers(2026, 2046))
def test_days_are_left_out_also_where_clocks_change(
    data: st.DataObject, schedule: Schedule, name: str, year: int
) -> None:
    zone = ZoneInfo(name)
    near = st.sampled_from([*changes(zone, year), datetime(year, 6, 1, tzinfo=UTC)])
    start = data.draw(near) - timedelta(hours=data.draw(st.integers(0, 60)), minutes=data.draw(st.integers(0, 59)))
    end = start + timedelta(days=5)
    day = start.astimezone(zone).date()
    days = frozenset(day + timedelta(days=offset) for offset in data.draw(st.sets(st.integers(-1, 4))))
    rule = CalendarRule(schedule=schedule.text, zone=name, without=("some",))
    assume(rule_fault(rule) is None)
    ours = list(takewhile(lambda moment: moment <= end, moments(rule, start, {"some": days})))
    assert ours == [at for at in fires(schedule, zone, start, end) if at.astimezone(zone).date() not in days]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), schedule=schedules(), name=st.sampled_from(ZONES), year=st.integers(2026, 2046))
def test_every_rule_fires_as_often_as_its_local_times_come(
    data: st.DataObject, schedule: Schedule, name: str, year: int
) -> None:
    zone = ZoneInfo(name)
    near = st.sampled_from([*changes(zone, year), datetime(year, 6, 1, tzinfo=UTC)])
    start = data.draw(near) - timedelta(hours=data.draw(st.integers(0, 30)), minutes=data.draw(st.integers(0, 59)))
    end = start + timedelta(days=3)
    rule = CalendarRule(schedule=schedule.text, zone=name)
    assume(rule_fault(rule) is None)
    ours = list(takewhile(lambda moment: moment <= end, moments(rule, start, {})))
    assert ours == list(fires(schedule, zone, start, end))
