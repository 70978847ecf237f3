"""What the calendar does to an environment, and why: the earliest wins, and nothing that became due is forgotten."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from environments.domain.calendar_rule import parse_rule
from environments.domain.timing import Because, Pin, Source, TimedAction
from environments.service import timing as timing_module
from environments.service.cron import moments
from environments.service.timing import Due, TimedRule, Timing, deadline, last_switch, next_switch, upcoming

MONDAY = datetime(2027, 3, 1, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def _rule(text: str, action: TimedAction = TimedAction.DESTROY, since: datetime = MONDAY) -> TimedRule:
    rule = parse_rule(text)
    return TimedRule(action, rule, since, Because(source=Source.TEMPLATE, rule=text))


def _maximum(at: datetime) -> Due:
    return Due(at, TimedAction.DESTROY, Because(source=Source.MAXIMUM))


def _pin(end: datetime, by: str = "ada", *, past_maximum: bool = False) -> Pin:
    return Pin(end=end, by=by, reason="a demonstration", since=MONDAY, past_maximum=past_maximum)


def _set(at: datetime) -> Due:
    return Due(at, TimedAction.DESTROY, Because(source=Source.PERSON, by="ada"))


def _at(timing: Timing) -> datetime | None:
    found = deadline(timing, {})
    return None if found is None else found.at


EVENING = _rule("0 19 * * 1-5 Europe/Amsterdam")


def test_nothing_that_says_so_means_no_deadline() -> None:
    assert deadline(Timing(MONDAY), {}) is None


def test_the_earliest_wins_and_says_why() -> None:
    timing = Timing(MONDAY, _set(MONDAY + 2 * DAY), _maximum(MONDAY + 3 * DAY), (EVENING, _rule("0 12 * * *")))
    found = deadline(timing, {})
    assert found is not None
    assert (found.at, found.because.rule) == (MONDAY + 3 * HOUR, "0 12 * * *")


def test_a_maximum_ends_what_nothing_else_ends() -> None:
    found = deadline(Timing(MONDAY, maximum=_maximum(MONDAY + DAY)), {})
    assert found is not None
    assert (found.at, found.because.source) == (MONDAY + DAY, Source.MAXIMUM)


def test_an_extension_leaves_out_the_moments_before_it() -> None:
    extended = MONDAY + 34 * HOUR
    timing = Timing(extended, _set(extended), None, (EVENING,))
    assert _at(timing) == extended


def test_what_became_due_while_nobody_looked_stays_due() -> None:
    # Nothing depends on the time at which it is asked: no clock is passed at all.
    assert _at(Timing(MONDAY, rules=(EVENING,))) == datetime(2027, 3, 1, 18, tzinfo=UTC)


def test_a_new_rule_does_not_reach_into_the_past() -> None:
    late = _rule("0 10 * * *", since=MONDAY + 2 * HOUR)
    assert _at(Timing(MONDAY, rules=(late,))) == MONDAY + DAY + HOUR


def test_a_pin_suspends_rules_until_its_end() -> None:
    assert _at(Timing(MONDAY, rules=(EVENING,), pin=_pin(MONDAY + DAY))) == datetime(2027, 3, 2, 18, tzinfo=UTC)


def test_a_lifetime_that_ends_during_a_pin_ends_with_it() -> None:
    found = deadline(Timing(MONDAY, _set(MONDAY + HOUR), pin=_pin(MONDAY + DAY)), {})
    assert found is not None
    assert (found.at, found.because) == (MONDAY + DAY, Because(source=Source.PIN, by="ada"))


def test_a_pin_never_passes_the_maximum_unless_an_admin_said_so() -> None:
    maximum = _maximum(MONDAY + DAY)
    pin = _pin(MONDAY + 3 * DAY)
    assert _at(Timing(MONDAY, _set(MONDAY + HOUR), maximum, pin=pin)) == MONDAY + DAY
    admin = _pin(MONDAY + 3 * DAY, "root", past_maximum=True)
    assert _at(Timing(MONDAY, _set(MONDAY + HOUR), maximum, pin=admin)) == MONDAY + 3 * DAY


def test_a_maximum_that_a_pin_passed_ends_it_with_the_pin() -> None:
    timing = Timing(MONDAY, None, _maximum(MONDAY + DAY), pin=_pin(MONDAY + 3 * DAY, "root", past_maximum=True))
    found = deadline(timing, {})
    assert found is not None
    assert (found.at, found.because.source) == (MONDAY + 3 * DAY, Source.PIN)


def test_what_is_to_come_is_told_in_order_until_the_end() -> None:
    rules = (_rule("0 18 * * *", TimedAction.STOP), _rule("0 8 * * *", TimedAction.START))
    timing = Timing(MONDAY, _set(MONDAY + 2 * DAY), rules=rules)
    told = [(due.action, due.at - MONDAY) for due in upcoming(timing, {}, MONDAY, runs=True)]
    assert told == [
        (TimedAction.STOP, 9 * HOUR),
        (TimedAction.START, 23 * HOUR),
        (TimedAction.STOP, 33 * HOUR),
        (TimedAction.START, 47 * HOUR),
        (TimedAction.DESTROY, 48 * HOUR),
    ]


def test_without_an_end_it_goes_on() -> None:
    timing = Timing(MONDAY, rules=(_rule("0 18 * * *", TimedAction.STOP), _rule("0 8 * * *", TimedAction.START)))
    assert len(list(islice(upcoming(timing, {}, MONDAY, runs=True), 100))) == 100


def test_moments_without_effect_are_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = _counted(monkeypatch)
    timing = Timing(MONDAY, rules=(_rule("* * * * *", TimedAction.STOP), _rule("0 0 1 1 *", TimedAction.START)))
    told = [_switch(due) for due in islice(upcoming(timing, {}, MONDAY, runs=True), 3)]
    assert told == [("Mon 09:01", "stop"), ("Sat 00:00", "start"), ("Sat 00:01", "stop")]
    assert len(list(upcoming(Timing(MONDAY, rules=timing.rules[:1]), {}, MONDAY, runs=True))) == 1
    assert list(upcoming(Timing(MONDAY, rules=timing.rules[:1]), {}, MONDAY, runs=False)) == []
    assert len(made) < 10


def test_a_start_at_the_moment_of_a_stop_comes_after_it() -> None:
    timing = Timing(MONDAY, rules=(_rule("0 18 * * *", TimedAction.START), _rule("0 18 * * *", TimedAction.STOP)))
    told = [(due.action, due.at - MONDAY) for due in islice(upcoming(timing, {}, MONDAY, runs=True), 3)]
    assert told == [(TimedAction.STOP, 9 * HOUR), (TimedAction.START, 9 * HOUR), (TimedAction.STOP, 33 * HOUR)]


def test_of_rules_that_fire_often_few_moments_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = _counted(monkeypatch)
    timing = Timing(MONDAY, rules=(_rule("* * * * *", TimedAction.STOP), _rule("* * * * *", TimedAction.START)))
    last = last_switch(timing, {}, MONDAY, MONDAY + 300 * DAY)
    assert _switch(last) == ("Sun 09:00", "start")
    assert len(made) < 10


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The moments of rules that are made from here on."""
    made: list[datetime] = []

    def counting(*arguments: Any) -> Iterator[datetime]:
        for moment in moments(*arguments):
            made.append(moment)
            yield moment

    monkeypatch.setattr(timing_module, "moments", counting)
    return made


def test_a_pin_suspends_stops_too() -> None:
    timing = Timing(MONDAY, rules=(_rule("0 18 * * *", TimedAction.STOP),), pin=_pin(MONDAY + DAY))
    assert next(upcoming(timing, {}, MONDAY, runs=True)).at == MONDAY + 33 * HOUR


# --- stops and starts -------------------------------------------------------------------------------------------------

HOME = _rule("0 19 * * 1-5 Europe/Amsterdam", TimedAction.STOP)
WORK = _rule("0 8 * * 1-5 Europe/Amsterdam", TimedAction.START)
OFFICE = Timing(MONDAY, rules=(HOME, WORK))


def _switch(due: Due | None) -> tuple[str, str] | None:
    return None if due is None else (f"{due.at:%a %H:%M}", due.action.value)


def test_the_next_stop_or_start_is_the_first_of_all_rules() -> None:
    assert _switch(next_switch(OFFICE, {}, MONDAY)) == ("Mon 18:00", "stop")
    assert _switch(next_switch(OFFICE, {}, MONDAY + 9 * HOUR)) == ("Tue 07:00", "start")
    assert _switch(next_switch(OFFICE, {}, MONDAY + 4 * DAY + 10 * HOUR)) == ("Mon 07:00", "start")
    assert next_switch(Timing(MONDAY, rules=(EVENING,)), {}, MONDAY) is None


def test_of_many_moments_that_have_passed_the_last_counts() -> None:
    assert last_switch(OFFICE, {}, MONDAY, MONDAY + HOUR) is None
    assert _switch(last_switch(OFFICE, {}, MONDAY, MONDAY + 3 * DAY)) == ("Thu 07:00", "start")
    assert _switch(last_switch(OFFICE, {}, MONDAY, MONDAY + 6 * DAY)) == ("Fri 18:00", "stop")
    assert last_switch(OFFICE, {}, MONDAY + 4 * DAY + 9 * HOUR, MONDAY + 6 * DAY) is None


def test_a_long_time_with_a_frequent_rule_is_looked_through_from_its_end() -> None:
    often = Timing(MONDAY, rules=(_rule("* * * * *", TimedAction.STOP), WORK))
    found = last_switch(often, {}, MONDAY, MONDAY + 4000 * DAY)
    assert found is not None
    assert (found.at, found.action) == (MONDAY + 4000 * DAY, TimedAction.STOP)


def test_a_stop_and_a_start_at_the_same_moment_leave_it_running() -> None:
    both = Timing(MONDAY, rules=(_rule("0 8 * * *", TimedAction.START), _rule("0 8 * * *", TimedAction.STOP)))
    for found in (next_switch(both, {}, MONDAY), last_switch(both, {}, MONDAY, MONDAY + DAY)):
        assert found is not None
        assert found.action is TimedAction.START


def test_a_pin_suspends_stops_and_starts_until_its_end() -> None:
    pinned = Timing(MONDAY, rules=(HOME, WORK), pin=_pin(MONDAY + 2 * DAY))
    assert _switch(next_switch(pinned, {}, MONDAY)) == ("Wed 18:00", "stop")
    assert last_switch(pinned, {}, MONDAY, MONDAY + 2 * DAY) is None
