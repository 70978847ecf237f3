"""Who changes states: one module, which checks the move and writes the row and the event."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.domain.environment import Event, EventType
from environments.domain.errors import NotAllowedNow
from environments.domain.lifecycle import MOVES, DeploymentState, State
from environments.service import transitions
from tests.support.engine_harness import ADMIN, TEMPLATE, EngineHarness


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[EngineHarness]:
    opened = EngineHarness(tmp_path)
    opened.push(TEMPLATE)
    opened.create(parameters={"code": "secret"})
    yield opened
    opened.database.close()


def _events(setting: EngineHarness, after: int = 0) -> list[Event]:
    with setting.database.read() as tx:
        return list(tx.events.after(after, environment_id=None, limit=1000))


def test_a_state_is_no_column_among_others(setting: EngineHarness) -> None:
    with setting.database.write() as tx, pytest.raises(TypeError, match="set_state"):
        tx.environments.change(setting.environment().id, state=State.READY)


def test_a_move_is_checked_and_told_or_nothing_is_written(setting: EngineHarness) -> None:
    for now, then in itertools.product(State, State):
        with setting.database.write() as tx:
            tx.environments.set_state(setting.environment().id, now, setting.clock())
        newest, environment, moment = _events(setting)[-1].id, setting.environment(), setting.clock()
        if then in MOVES[now]:
            with setting.database.write() as tx:
                moved = transitions.move(tx, environment, then, moment, warned=True)
            assert moved == setting.environment()
            assert (moved.state, moved.state_since, moved.warned) == (then, moment, True)
            told = [(event.type, event.data) for event in _events(setting, newest)]
            assert told == [(EventType.ENVIRONMENT_STATE, {"state": then.value})]
        else:
            with setting.database.write() as tx, pytest.raises(NotAllowedNow, match=f"can't become {then.value}"):
                transitions.move(tx, environment, then, moment)
            assert setting.environment() == environment
            assert _events(setting, newest) == []


def test_a_request_to_destroy_tells_that_it_ends_what_waits(setting: EngineHarness) -> None:
    with setting.database.read() as tx:
        (waiting,) = tx.deployments.of(setting.environment().id)
    setting.requests.destroy(ADMIN, "one")
    told = [event for event in _events(setting) if event.type is EventType.DEPLOYMENT_STATE]
    assert [(event.deployment_id, event.data["state"]) for event in told] == [
        (waiting.id, DeploymentState.SUPERSEDED.value)
    ]
