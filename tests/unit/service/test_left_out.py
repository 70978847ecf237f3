"""What a rule says and does not happen: found without the moments between."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile
from typing import Any

import pytest

from environments.domain.calendar_rule import parse_rule
from environments.domain.timing import Because, Obstacle, Pin, Source, TimedAction
from environments.service import left_out as left_out_module
from environments.service.cron import moments
from environments.service.left_out import left_out, without_effect
from environments.service.timing import Due, TimedRule, Timing, every_switch, upcoming

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


def _hours(*rules: tuple[TimedAction, str], **values: Any) -> Timing:
    return Timing(MONDAY, rules=[TimedRule(done, parse_rule(rule), MONDAY, SOMEBODY) for done, rule in rules], **values)


def _without_effect(timing: Timing, count: int, *, runs: bool) -> list[tuple[str, str, str]]:
    found = islice(without_effect(timing, HOLIDAYS, MONDAY, runs=runs), count)
    return [(f"{left.at:%a %H:%M}", left.action.value, left.prevented.obstacle.value) for left in found]


STOP, START = TimedAction.STOP, TimedAction.START


def test_stops_of_what_is_stopped_and_starts_of_what_runs_have_no_effect() -> None:
    timing = _hours((STOP, "0 19,22 * * *"), (START, "0 8,11 * * 1-5"))
    assert _without_effect(timing, 4, runs=True) == [
        ("Mon 11:00", "start", "running"),
        ("Mon 22:00", "stop", "stopped"),
        ("Tue 11:00", "start", "running"),
        ("Tue 22:00", "stop", "stopped"),
    ]
    assert _without_effect(timing, 1, runs=False) == [("Mon 22:00", "stop", "stopped")]


def test_nothing_is_without_effect_once_it_is_destroyed_or_while_it_is_pinned() -> None:
    end = Due(MONDAY + DAY, TimedAction.DESTROY, SOMEBODY)
    assert _without_effect(_hours((START, "0 11 * * *"), set_deadline=end), 9, runs=True) == [
        ("Mon 11:00", "start", "running")
    ]
    pin = Pin(end=MONDAY + 3 * DAY, by="ada", reason="a demo", since=MONDAY)
    assert _without_effect(_hours((START, "0 11 * * *"), pin=pin), 1, runs=True) == [("Thu 11:00", "start", "running")]


def test_rules_that_take_turns_for_ever_are_looked_at_for_a_while() -> None:
    timing = _hours((STOP, "*/2 * * * *"), (START, "1-59/2 * * * *"))
    assert _without_effect(timing, 5, runs=True) == [("Mon 09:01", "start", "running")]


def test_of_each_moment_the_turns_are_those_that_explain_shows() -> None:
    timing = _hours((STOP, "0 */3 * * *"), (START, "0 */4 * * *"), (STOP, "30 * * * *"))
    every = [(due.at, due.because, due.action) for due in islice(every_switch(timing, HOLIDAYS, MONDAY), 60)]
    last = every[-1][0]
    shown = takewhile(lambda due: due.at <= last, upcoming(timing, HOLIDAYS, MONDAY, runs=True))
    idle = takewhile(lambda left: left.at <= last, without_effect(timing, HOLIDAYS, MONDAY, runs=True))
    assert sorted([(due.at, due.action) for due in shown] + [(left.at, left.action) for left in idle]) == sorted(
        (at, action) for at, _, action in every
    )
