"""A row that is there already isn't counted as inserted, on either database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.domain.received_event import NewReceivedEvent, Source
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
