"""Idle environments: what is measured quiet for long enough is told once; what isn't measured is busy."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from environments.domain.received_event import Source
from environments.engine.event_sources import idle, meter
from environments.engine.event_sources.idle import IdleEvents
from environments.steps.source_ports import InstanceUse
from tests.support.engine_harness import DATABASES, TEMPLATE, open_harness
from tests.support.source_harness import SourceHarness

QUIET = {"a": InstanceUse("a", 1, 2.0, "veth-a")}


@pytest.fixture(params=DATABASES)
def harness(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SourceHarness]:
    """Slices of a second."""
    monkeypatch.setattr(idle, "_EVERY", 0.1)
    monkeypatch.setattr(idle, "_SAMPLES_EVERY", 0.05)
    monkeypatch.setattr(meter, "SLICE", 1.0)
    engine = open_harness(request, tmp_path)
    engine.push(TEMPLATE)
    engine.worker.start()
    harness = SourceHarness(engine)
    for name in ("one", "two"):
        harness.ready(name)
        harness.usage.uses[name] = QUIET
    harness.usage.counters = {"veth-a": 1000}
    yield harness
    harness.stop()
    engine.stop()


def _trigger(harness: SourceHarness, environment: str, **values: Any) -> str:
    return harness.trigger(environment=environment, **{"on": "idle", "for": "2s", **values})


def test_a_quiet_environment_is_told_once_and_a_busy_one_not(harness: SourceHarness) -> None:
    quiet = _trigger(harness, "one", cpu=5, bytes=100)
    _trigger(harness, "two", cpu=1)
    harness.start(IdleEvents)
    (event,) = harness.waits_for(Source.IDLE, 1)
    assert event.environment_id == harness.engine.environment("one").id
    assert event.fields["trigger"] == quiet
    assert event.fields["cpu"] == "2.0"
    source = harness.start(IdleEvents)  # as a new leader, which has to measure again
    harness.engine.until(lambda: len(source._meters) == 2)
    assert len(harness.received(Source.IDLE)) == 1


@pytest.mark.parametrize(
    "use",
    [
        None,
        {},
        {"a": InstanceUse("a", 1, None, "veth-a")},
        {"a": InstanceUse("a", 1, 2.0, "")},
        {"a": InstanceUse("a", 1, 2.0, "veth-elsewhere")},
        {"a": InstanceUse("a", 1, 2.0, "veth-a", checks=(6000.0,))},
    ],
)
def test_what_is_not_measured_is_busy(harness: SourceHarness, use: dict[str, InstanceUse] | None) -> None:
    _trigger(harness, "one", cpu=5, bytes=100)
    _trigger(harness, "two", cpu=5)
    harness.usage.uses["one"] = use
    harness.start(IdleEvents)
    (event,) = harness.waits_for(Source.IDLE, 1)
    assert event.environment_id == harness.engine.environment("two").id


def test_a_jump_of_the_clock_begins_anew(harness: SourceHarness) -> None:
    _trigger(harness, "one", cpu=5, **{"for": "1h"})
    source = harness.start(IdleEvents)

    def since() -> object:
        return next((watch.quiet.since for watch in source._watches.values()), None)

    harness.engine.until(lambda: since() is not None)
    harness.engine.clock.ahead = timedelta(hours=2)
    harness.engine.until(lambda: since() is None)
    assert harness.received(Source.IDLE) == []


def test_a_heartbeat_keeps_an_environment_and_none_does_not(harness: SourceHarness) -> None:
    for name in ("one", "two"):
        _trigger(harness, name, heartbeat=True, **{"for": "1h"})
    source = harness.start(IdleEvents)
    harness.engine.until(lambda: len(source._watches) == 2)
    harness.engine.clock.ahead = timedelta(minutes=50)
    with harness.engine.database.write() as tx:
        tx.heartbeats.beat(harness.engine.environment("one").id, harness.engine.clock())
    harness.engine.clock.ahead = timedelta(minutes=61)
    (event,) = harness.waits_for(Source.IDLE, 1)
    assert event.environment_id == harness.engine.environment("two").id
    harness.engine.clock.ahead = timedelta(minutes=112)
    harness.waits_for(Source.IDLE, 2)


def test_the_time_before_a_process_led_does_not_count(harness: SourceHarness) -> None:
    _trigger(harness, "one", heartbeat=True, **{"for": "1h"})
    harness.engine.clock.ahead = timedelta(hours=5)
    source = harness.start(IdleEvents)
    harness.engine.until(lambda: len(source._watches) == 1)
    assert harness.received(Source.IDLE) == []
