"""Rules of drift schedules: read in their zone, or refused."""

from datetime import UTC, datetime

import pytest

from environments.domain.template_parts import DriftSchedule
from environments.service.cron import next_run, schedule_fault


def test_a_rule_is_read_in_its_zone_also_when_clocks_change() -> None:
    rule = DriftSchedule(schedule="30 2 * * *", zone="Europe/Berlin")
    before = datetime(2026, 10, 24, 12, tzinfo=UTC)
    first = next_run(rule, before)
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # summer time; 2:30 comes twice that night
    assert next_run(rule, first) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    assert next_run(DriftSchedule(), before) is None


def test_a_zone_that_the_machine_does_not_have_any_more_ends_the_schedule() -> None:
    # Raised while a deployment ends, it would let that begin again for ever.
    assert (
        next_run(DriftSchedule(schedule="0 2 * * *", zone="Europe/Atlantis"), datetime(2026, 10, 24, tzinfo=UTC))
        is None
    )


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (DriftSchedule(schedule="whenever"), "no cron expression"),
        (DriftSchedule(schedule="0 0 31 2 *"), "that ever fires"),
        (DriftSchedule(schedule="0 4 * * *", zone="Mars/Olympus"), "no time zone"),
        (DriftSchedule(zone="../etc"), "no time zone"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(rule: DriftSchedule, words: str) -> None:
    assert words in (schedule_fault(rule) or "")
