"""When a warning counts, when destroys are too many at once, and what is said of them."""

from datetime import UTC, datetime, timedelta

import pytest

from environments.domain.holds import DueFacts, HoldLimits, causes, noticed

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


@pytest.mark.parametrize(
    ("lifetime", "before", "enough"),
    [
        (30 * DAY, HOUR, True),
        (30 * DAY, 5 * MINUTE, True),
        (30 * DAY, 5 * MINUTE - SECOND, False),
        (10 * MINUTE, MINUTE, True),
        (10 * MINUTE, 30 * SECOND, True),
        (10 * MINUTE, 29 * SECOND, False),
        (DAY, timedelta(0), False),
    ],
)
def test_a_warning_counts_if_it_came_early_enough(lifetime: timedelta, before: timedelta, enough: bool) -> None:
    assert noticed(NOW - lifetime, NOW, NOW - before) is enough


@pytest.mark.parametrize(("before", "enough"), [(5 * MINUTE, True), (4 * MINUTE, False)])
def test_a_lifetime_that_an_edit_made_short_needs_the_whole_notice(before: timedelta, enough: bool) -> None:
    assert noticed(NOW - 30 * MINUTE, NOW, NOW - before, edited=True) is enough
    assert noticed(NOW - 30 * MINUTE, NOW, NOW - before)


def test_no_warning_is_no_notice() -> None:
    assert not noticed(NOW - DAY, NOW, None)


@pytest.mark.parametrize(
    ("due", "living", "exceeded"),
    [(10, 10, False), (11, 11, True), (11, 55, False), (11, 54, True), (200, 1000, False), (201, 1000, True)],
)
def test_more_than_ten_and_over_a_fifth_of_the_living_are_too_many(due: int, living: int, exceeded: bool) -> None:
    assert HoldLimits().exceeded(due, living) is exceeded


def test_what_set_the_deadlines_is_counted() -> None:
    said = ["lifetime"] * 5 + ["person of ada"] * 7 + ["pin", "maximum", "template 0 19 * * *"]
    facts = [DueFacts(str(number), NOW, NOW, None, False, cause) for number, cause in enumerate(said)]
    assert causes(facts) == "7 by person of ada, 5 by lifetime, 1 by maximum, 2 by others"
    assert causes(facts[:5]) == "5 by lifetime"
