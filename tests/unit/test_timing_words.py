"""The words in which front ends say why the calendar does something."""

from datetime import UTC, datetime

import pytest

from environments.domain.timing import Because, Obstacle, Prevented, Source
from environments.timing_words import reason_of_attempt, why_not

RULE = Because(source=Source.ENVIRONMENT, rule="0 19 * * * UTC", by="ada")


@pytest.mark.parametrize(
    ("attempt", "more"),
    [(1, ""), (2, "; it has failed once and is tried again"), (4, "; it has failed 3 times and is tried again")],
)
def test_what_failed_says_how_often(attempt: int, more: str) -> None:
    assert reason_of_attempt(RULE, attempt) == f"rule '0 19 * * * UTC', set by ada{more}"


@pytest.mark.parametrize("obstacle", Obstacle)
def test_each_obstacle_has_its_words(obstacle: Obstacle) -> None:
    until = datetime(2027, 3, 1, tzinfo=UTC)
    found = why_not(Prevented(obstacle=obstacle, name="nl", by="ada", reason="a demo", until=until), str)
    assert found
    assert not found.endswith(".")
