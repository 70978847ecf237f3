"""The bench of events, for a few seconds: every delivery is accepted, and becomes one event that is matched."""

from pathlib import Path

import pytest

from tests.bench import events
from tests.support.postgres import Postgres


@pytest.mark.parametrize("workers", [0, 1])
def test_a_short_storm_of_deliveries(tmp_path: Path, postgres: Postgres, workers: int) -> None:
    storm = events.measure(tmp_path, postgres, rate=20, seconds=5, triggers=200, workers=workers)
    assert len(storm.processor) == 1 + workers
    figures, samples = events.figures(storm, storm)
    assert [figure.measured > 0 for figure in figures] == [True] * 8
    assert len(samples[0].seconds) == 100
    assert storm.firings > 0
