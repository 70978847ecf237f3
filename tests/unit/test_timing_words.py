"""The words in which front ends say why the calendar does something."""

from datetime import UTC, datetime

import pytest

from environments.domain.timing import Because, Obstacle, Prevented, Source
from environments.timing_words import effect, reason_of_attempt, why_not

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


@pytest.mark.parametrize(
    ("applied", "count", "noun", "said"),
    [
        (False, 0, "deadline", "It would move no deadline of 12 environments"),
        (False, 1, "deadline", "It would move 1 deadline of 12 environments"),
        (True, 3, "next stop or start", "It moves 3 next stops and starts of 12 environments"),
    ],
)
def test_what_an_edit_moves_is_counted(applied: bool, count: int, noun: str, said: str) -> None:
    assert effect(applied, count, noun, 12, 12) == said
    assert effect(applied, count, noun, 12, 10) == f"{said}, of the first 10"
