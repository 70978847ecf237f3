"""When the owner of an environment is warned of its deadline."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.domain.deadline import next_warning, pause_between, send_again_after, warnings_before

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def first(lifetime: timedelta, *notices: timedelta) -> timedelta | None:
    """How long before its deadline the owner of a new environment is warned first."""
    found = next_warning(NOW + lifetime, NOW, notices or None, since=NOW)
    return None if found is None else NOW + lifetime - found


def test_by_default_the_owner_is_warned_once() -> None:
    assert first(8 * HOUR) == 48 * MINUTE
    assert first(3 * DAY) == HOUR
    assert warnings_before(NOW + DAY, NOW, None) == [NOW + 23 * HOUR]


def test_the_template_says_when() -> None:
    assert first(3 * DAY, DAY, HOUR) == DAY
    assert warnings_before(NOW + 3 * DAY, NOW, [HOUR, DAY, DAY]) == [NOW + 2 * DAY, NOW + 71 * HOUR]


def test_a_template_without_warnings_has_none() -> None:
    assert next_warning(NOW + DAY, NOW, (), since=NOW) is None


def test_notices_that_are_longer_than_the_lifetime_are_dropped() -> None:
    assert first(8 * HOUR, DAY, HOUR) == HOUR


@pytest.mark.parametrize("lifetime", [HOUR, 30 * MINUTE, MINUTE])
def test_of_a_short_life_the_owner_is_warned_when_most_of_it_is_over(lifetime: timedelta) -> None:
    assert first(lifetime, DAY, HOUR) == lifetime / 10


def test_a_deadline_that_has_passed_is_warned_of_at_once() -> None:
    assert next_warning(NOW - HOUR, NOW - DAY, (DAY,), since=NOW) == NOW - HOUR


durations = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=400))


@given(durations, durations, st.none() | st.lists(durations, min_size=1, max_size=5))
def test_whatever_the_notices_there_is_a_warning_before_the_deadline(
    age: timedelta, left: timedelta, notices: list[timedelta] | None
) -> None:
    deadline = NOW + left
    found = next_warning(deadline, NOW - age, notices, since=NOW)
    assert found is not None
    assert NOW < found < deadline


def test_attempts_come_less_and_less_often() -> None:
    pauses = [send_again_after(number).total_seconds() for number in range(1, 8)]
    assert pauses == [10, 20, 40, 80, 160, 300, 300]
    assert send_again_after(10_000) == 5 * MINUTE


def test_what_waits_for_the_pause_is_tried_before_the_grace_is_over() -> None:
    assert pause_between(30 * MINUTE) == pause_between(DAY) == 5 * MINUTE
    assert pause_between(4 * MINUTE) == 2 * MINUTE
    assert pause_between(timedelta(0)) == MINUTE, "the grace is as short as the operator wants it"
