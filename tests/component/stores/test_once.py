"""A row that is there already isn't counted as inserted, on either database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.domain.received_event import NewReceivedEvent, Source
from environments.domain.trigger import Firing, FiringState, TriggerAction
from tests.support.engine_harness import DATABASES, EngineHarness, open_harness


@pytest.fixture(params=DATABASES)
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineHarness]:
    harness = open_harness(request, tmp_path)
    yield harness
    harness.stop()


def test_a_delivery_becomes_one_event(harness: EngineHarness) -> None:
    event = NewReceivedEvent(source=Source.WEBHOOK, kind="received", origin="a", delivery="1", subject="a")
    for number, expected in ((1, True), (2, False)):
        with harness.database.write() as tx:
            assert tx.received.add(event, f"evt-{number}", harness.clock()) == ("evt-1", expected)
    with harness.database.read() as tx:
        assert len(tx.received.all()) == 1


def test_of_many_rows_those_that_are_there_already_are_left_out(harness: EngineHarness) -> None:
    events = [
        NewReceivedEvent(source=Source.WEBHOOK, kind="received", origin="a", delivery=str(number % 1500), subject="a")
        for number in range(2000)
    ]
    with harness.database.write() as tx:
        tx.received.add(events[7], "evt-first", harness.clock())
        taken = tx.received.add_all(
            [(event, f"evt-{number}", "") for number, event in enumerate(events)], harness.clock()
        )
    assert [new for _, new in taken] == [number != 7 and number < 1500 for number in range(2000)]
    assert (taken[7], taken[1507], taken[1508]) == (("evt-first", False), ("evt-first", False), ("evt-8", False))
    with harness.database.read() as tx:
        waiting = [event.id for event in tx.received.waiting(2000)]
    assert waiting == ["evt-first", *(f"evt-{number}" for number in range(1500) if number != 7)], "in their order"


def test_a_trigger_fires_once_for_an_event_and_an_environment(harness: EngineHarness) -> None:
    event = NewReceivedEvent(source=Source.WEBHOOK, kind="received", origin="a", delivery="1", subject="a")
    firings = [
        Firing(
            id=f"fir-{number}",
            event_id="evt-1",
            trigger_id="trg-1",
            trigger_name="nightly",
            owner="ada",
            environment_id=f"env-{number % 1200}",
            environment="demo",
            action=TriggerAction.STOP,
            state=FiringState.PENDING,
            created_at=harness.clock(),
        )
        for number in range(1300)
    ]
    with harness.database.write() as tx:
        tx.received.add(event, "evt-1", harness.clock())
        assert tx.firings.add(firings[5:6]) == 1
        assert tx.firings.add(firings) == 1199
        assert tx.firings.add(firings) == 0
    with harness.database.read() as tx:
        assert {one.id for one in tx.firings.of_event("evt-1")} == {f"fir-{number}" for number in range(1200)}
