"""The pauses between attempts of a step."""

import pytest

from environments.engine import progress
from environments.engine.progress import pause_before


def test_pauses_between_attempts_grow_to_an_end_and_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "RETRY_PAUSE", 2.0)
    assert [pause_before(attempt, 1.0) for attempt in (1, 2, 3, 20)] == [2.0, 4.0, 8.0, 60.0]
    assert pause_before(1, 0.0) == 1.0
