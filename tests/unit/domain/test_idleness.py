"""What others than health checks have moved, and since when an environment is idle."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from environments.domain.idleness import LARGEST_CHECK, Quiet, Sample, Slice, moved_by_others

START = datetime(2026, 1, 1, tzinfo=UTC)
PERIOD = 0.2


def _minute(checks: dict[float, int], requests: list[tuple[float, int]], noise: int = 0) -> list[Sample]:
    """Samples of a minute: checks by their interval, each of a size, and requests at a moment, each of a size."""
    sizes = [0] * 300
    for number, (interval, size) in enumerate(checks.items()):
        at = 0.05 + number * 0.45
        while at < 60:
            sizes[int(at / PERIOD)] += size
            at += interval
    for at, size in requests:
        sizes[int(at / PERIOD)] += size
    for number in range(noise):
        sizes[number * 7 % 300] += 60
    return [Sample(PERIOD, size) for size in sizes]


def _rates(checks: dict[float, int]) -> list[float]:
    return [60 / interval for interval in checks]


EVERY_TEN = [(number * 10 + 3.3, 700) for number in range(6)]


@pytest.mark.parametrize("checks", [{}, {10: 900}, {2: 900}, {1: 900}, {2: 900, 3: 4000}, {5: 15_000}])
class TestMoved:
    def test_a_service_that_is_only_checked_moves_nothing_else(self, checks: dict[float, int]) -> None:
        found = moved_by_others(_minute(checks, [], noise=5), _rates(checks))
        assert found is not None
        assert found <= 300

    def test_a_request_each_ten_seconds_is_seen(self, checks: dict[float, int]) -> None:
        found = moved_by_others(_minute(checks, EVERY_TEN), _rates(checks))
        assert found is not None
        assert found >= 1400

    def test_a_steady_stream_is_seen(self, checks: dict[float, int]) -> None:
        stream = [(second + 0.55, 500) for second in range(60)]
        found = moved_by_others(_minute(checks, stream), _rates(checks))
        assert found is None or found >= 5000

    def test_a_download_that_comes_with_a_check_is_seen(self, checks: dict[float, int]) -> None:
        found = moved_by_others(_minute(checks, [(0.05, 1_000_000)]), _rates(checks))
        assert found is not None
        assert found >= 1_000_000 - 2 * LARGEST_CHECK

    def test_requests_at_any_moments_are_seen(self, checks: dict[float, int]) -> None:
        chance = random.Random(15)
        for _ in range(200):
            requests = [(chance.uniform(0, 59.9), 700) for _ in range(20)]
            found = moved_by_others(_minute(checks, requests), _rates(checks))
            assert found is None or found > 1000


class TestNotMeasured:
    def test_checks_that_come_all_the_time_hide_everything(self) -> None:
        assert moved_by_others(_minute({0.5: 900, 1: 900}, EVERY_TEN), [120, 60]) is None

    def test_checks_that_come_at_once_would_hide_requests(self) -> None:
        both = _minute({2: 1800}, EVERY_TEN)
        assert moved_by_others(both, [30, 30]) is None

    def test_nothing_was_read(self) -> None:
        assert moved_by_others([], [6]) is None
        assert moved_by_others([Sample(5, 900)], [6]) is None

    def test_a_longer_sample_may_hold_the_checks_of_its_time(self) -> None:
        samples = [*_minute({2: 900}, []), Sample(4, 1800)]
        assert moved_by_others(samples, [30]) == 0
        assert moved_by_others([*samples, Sample(4, 9000)], [30]) == 9000 - 1800


def _slice(minute: int, cpu: float | None = 1.0, moved: float | None = 10.0) -> Slice:
    begin = START + timedelta(minutes=minute)
    return Slice(begin, begin + timedelta(minutes=1), cpu, moved)


class TestQuiet:
    def test_it_is_quiet_from_the_first_of_its_last_quiet_slices_on(self) -> None:
        quiet = Quiet(cpu=5, moved=100)
        for minute, moved in enumerate((500.0, 10.0, 100.0)):
            quiet.add(_slice(minute, moved=moved))
        assert quiet.since == START + timedelta(minutes=1)
        assert quiet.until == START + timedelta(minutes=3)

    @pytest.mark.parametrize(
        "busy", [_slice(1, cpu=6), _slice(1, moved=101), _slice(1, cpu=None), _slice(1, moved=None)]
    )
    def test_what_is_above_or_not_measured_is_busy(self, busy: Slice) -> None:
        quiet = Quiet(cpu=5, moved=100)
        quiet.add(_slice(0))
        quiet.add(busy)
        assert quiet.since is None

    def test_only_the_named_measures_count(self) -> None:
        quiet = Quiet(cpu=5, moved=None)
        quiet.add(_slice(0, moved=None))
        assert quiet.since == START
