"""The pauses between attempts to destroy."""

from datetime import timedelta

from environments.domain.deadline import destroy_again_after, observe_again_after


def test_the_pauses_grow_from_seconds_to_half_an_hour() -> None:
    pauses = [destroy_again_after(attempts).total_seconds() / 60 for attempts in range(1, 10)]
    assert pauses == [1 / 6, 1, 2, 4, 8, 16, 30, 30, 30]
    intervals = [observe_again_after(timedelta(hours=hours)) for hours in (0, 1, 30)]
    assert intervals == [timedelta(minutes=10), timedelta(hours=1), timedelta(days=1)]
