"""Which stop or start by the calendar is told as the next one: none that has no effect, or never comes."""

from datetime import timedelta

import pytest

from environments.domain.lifecycle import State
from environments.domain.timing import TimedAction
from tests.fakes.clock import MONDAY
from tests.support.views import environment_view

HOUR = timedelta(hours=1)
STOP, START = TimedAction.STOP, TimedAction.START


@pytest.mark.parametrize(
    ("state", "action", "deadline", "held_by", "told"),
    [
        (State.READY, STOP, None, None, True),
        (State.READY, STOP, 2 * HOUR, None, True),
        (State.READY, STOP, HOUR, None, True),
        (State.READY, STOP, HOUR / 2, None, False),
        (State.READY, STOP, HOUR / 2, "hold-abcdefghjkmn", True),
        (State.READY, START, None, None, False),
        (State.STOPPED, START, None, None, True),
        (State.STOPPING, START, None, None, True),
        (State.STOPPED, STOP, None, None, False),
        (State.FAILED, STOP, None, None, True),
    ],
)
def test_what_comes_is_told(
    state: State, action: TimedAction, deadline: timedelta | None, held_by: str | None, told: bool
) -> None:
    view = environment_view(
        state=state,
        switch_at=MONDAY + HOUR,
        switch_action=action,
        deadline=None if deadline is None else MONDAY + deadline,
        held_by=held_by,
    )
    assert view.coming_switch() == ((action, MONDAY + HOUR) if told else None)


def test_without_a_rule_nothing_comes() -> None:
    assert environment_view(switch_at=None, switch_action=None).coming_switch() is None
