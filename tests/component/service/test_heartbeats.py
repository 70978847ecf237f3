"""Heartbeats: who may send them, and which of them are written."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.access import TokenScope
from environments.domain.errors import Forbidden, NotAllowedNow, UnknownEnvironment
from environments.domain.lifecycle import State
from environments.service.heartbeats import Heartbeats
from tests.support.engine_harness import ADMIN, DATABASES, TEMPLATE, USER, EngineHarness, open_harness


@pytest.fixture(params=DATABASES)
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineHarness]:
    harness = open_harness(request, tmp_path)
    harness.push(TEMPLATE)
    harness.worker.start()
    for name in ("one", "two"):
        harness.create(name, parameters={"code": "secret"})
        harness.wait_for(State.READY, name=name)
    yield harness
    harness.stop()


def test_one_in_five_seconds_is_written(harness: EngineHarness) -> None:
    heartbeats = Heartbeats(harness.database, harness.clock)
    first = heartbeats.beat(ADMIN, "one")
    assert heartbeats.beat(ADMIN, "one") == first
    harness.clock.ahead = timedelta(seconds=6)
    later = heartbeats.beat(ADMIN, "one")
    assert later > first
    harness.clock.ahead = timedelta(0)  # the clock was set back
    assert heartbeats.beat(ADMIN, "one") < later


def test_a_token_for_this_alone_keeps_its_environment_and_no_other(harness: EngineHarness) -> None:
    heartbeats = Heartbeats(harness.database, harness.clock)
    scope = TokenScope(actions=("environment:heartbeat",), environments=(harness.environment("one").id,))
    job = replace(ADMIN, role="user", scope=scope)
    heartbeats.beat(job, "one")
    with pytest.raises(UnknownEnvironment):
        heartbeats.beat(job, "two")
    with pytest.raises(Forbidden):
        heartbeats.beat(replace(job, scope=TokenScope(actions=("environment:stop",))), "one")
    with pytest.raises(UnknownEnvironment):
        heartbeats.beat(USER, "one")


def test_nothing_keeps_what_has_ended(harness: EngineHarness) -> None:
    harness.requests.destroy(ADMIN, "one")
    harness.wait_for(State.DESTROYED)
    with pytest.raises(NotAllowedNow):
        Heartbeats(harness.database, harness.clock).beat(ADMIN, "one")
