"""The bench of events, for a few seconds: every delivery is accepted, and becomes one event that is matched."""

from pathlib import Path

from tests.bench import events
from tests.support.postgres import Postgres


def test_a_short_storm_of_deliveries(tmp_path: Path, postgres: Postgres) -> None:
    storm = events.measure(tmp_path, postgres, rate=20, seconds=5, triggers=200)
    figures, samples = events.figures(storm)
    assert [figure.measured > 0 for figure in figures] == [True] * 4
    assert len(samples[0].seconds) == 100
    assert storm.firings > 0
