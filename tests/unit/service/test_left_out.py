"""What a rule says and does not happen: found without the moments between."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from environments.domain.calendar_rule import parse_rule
from environments.domain.timing import Because, Obstacle, Pin, Source, TimedAction
from environments.service import left_out as left_out_module
from environments.service.cron import moments
from environments.service.left_out import left_out
from environments.service.timing import Due, TimedRule, Timing

MONDAY = datetime(2027, 3, 1, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SOMEBODY = Because(source=Source.PERSON, by="ada")
HOLIDAYS = {"days": frozenset({date(2027, 3, 6), date(2027, 3, 7), date.min, date.max})}


def _timing(text: str, action: TimedAction, **values: Any) -> Timing:
    return Timing(MONDAY, rules=(TimedRule(action, parse_rule(text), MONDAY + HOUR, SOMEBODY),), **values)


def test_each_obstacle_leaves_out_its_moments() -> None:
    pin = Pin(end=MONDAY + 4 * DAY, by="ada", reason="a demo", since=MONDAY + 2 * DAY)
    end = Due(MONDAY + 9 * DAY, TimedAction.DESTROY, SOMEBODY)
    timing = _timing("0 * * * * Asia/Tokyo except days", TimedAction.STOP, pin=pin, set_deadline=end)
    found = left_out(timing, HOLIDAYS, MONDAY - DAY, 200)

    def expected(at: datetime) -> Obstacle | None:
        if (at + 9 * HOUR).date() in HOLIDAYS["days"]:
            return Obstacle.HOLIDAY
        if at <= MONDAY + HOUR:
            return Obstacle.SET_LATER
        if pin.since < at < pin.end:
            return Obstacle.PIN
        return Obstacle.DEADLINE if at > end.at else None

    hours = (MONDAY - DAY + number * HOUR for number in range(1, 1000))
    wanted = [(at, obstacle) for at in hours if (obstacle := expected(at)) is not None]
    assert [(left.at, left.prevented.obstacle) for left in found] == wanted[:200]


def test_a_frequent_rule_costs_no_moment_that_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[datetime] = []

    def counting(*arguments: Any) -> Iterator[datetime]:
        for moment in moments(*arguments):
            made.append(moment)
            yield moment

    monkeypatch.setattr(left_out_module, "moments", counting)
    timing = _timing("* * * * * except days", TimedAction.STOP)
    assert left_out(timing, {}, MONDAY + 2 * HOUR, 10) == []
    assert made == []
    assert len(left_out(timing, HOLIDAYS, MONDAY + 2 * HOUR, 10)) == 10
    assert len(made) < 200
