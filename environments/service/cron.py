"""Cron schedules of drift detection, evaluated in a time zone.

When clocks go back, a schedule in the repeated hour fires once; when they go forward, a schedule in the skipped hour
fires at the end of that hour. cronsim behaves as Debian's cron here.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from environments.domain.template_parts import DriftSchedule

_LONGEST = 200
"""Characters of a cron expression."""


def schedule_fault(rule: DriftSchedule) -> str | None:
    """What is wrong with a schedule; None if nothing is."""
    try:
        zone = ZoneInfo(rule.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"drift.zone: there is no time zone {rule.zone!r}"
    if rule.schedule is None:
        return None
    try:
        if len(rule.schedule) > _LONGEST:
            raise ValueError
        next(CronSim(rule.schedule, datetime.now(zone)))
    except (CronSimError, StopIteration, ValueError, OverflowError):
        told = rule.schedule[:_LONGEST]
        return f"drift.schedule: {told!r} is no cron expression that ever fires; write one such as '0 4 * * *'"
    return None


def next_run(rule: DriftSchedule, after: datetime) -> datetime | None:
    """When the schedule fires next after a moment (both UTC); None: there is no schedule, or it never fires again."""
    if rule.schedule is None:
        return None
    moment = next(CronSim(rule.schedule, after.astimezone(ZoneInfo(rule.zone))), None)
    return None if moment is None else moment.astimezone(UTC)
