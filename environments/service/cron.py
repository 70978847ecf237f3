"""Cron schedules, evaluated in a time zone.

Fixed times fire once for each local time that they name on each day that they name: when clocks go back, in the first
of the repeated hours; when they go forward, a skipped time fires when the skipped hour ends. Schedules whose minute or
hour begins with `*` go by elapsed time. cronsim behaves as Debian's cron here.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from environments.domain.calendar_rule import CalendarRule
from environments.domain.deadline import LONGEST
from environments.domain.errors import InvalidLifetime
from environments.domain.template_parts import DriftSchedule

_LONGEST = 200
"""Characters of a cron expression."""

Holidays = Mapping[str, frozenset[date]]
"""Days by the name of their calendar."""


def schedule_fault(rule: DriftSchedule) -> str | None:
    """What is wrong with a schedule for drift; None if nothing is."""
    if (wrong := zone_fault(rule.zone)) is not None:
        return f"drift.zone: {wrong}"
    if rule.schedule is None:
        return None
    wrong = cron_fault(rule.schedule, rule.zone)
    return None if wrong is None else f"drift.schedule: {wrong}"


def rule_fault(rule: CalendarRule) -> str | None:
    """What is wrong with a rule of the calendar; None if nothing is."""
    return zone_fault(rule.zone) or cron_fault(rule.schedule, rule.zone)


def zone_fault(zone: str) -> str | None:
    """What is wrong with the name of a time zone."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"there is no time zone {zone!r}"
    return None


def cron_fault(schedule: str, zone: str) -> str | None:
    """What is wrong with a cron expression, in a zone that exists."""
    try:
        if len(schedule) > _LONGEST:
            raise ValueError
        next(CronSim(schedule, datetime.now(ZoneInfo(zone))))
    except (CronSimError, StopIteration, ValueError, OverflowError):
        told = schedule[:_LONGEST]
        return f"{told!r} is no cron expression that ever fires; write one such as '0 4 * * *'"
    return None


def next_run(rule: DriftSchedule, after: datetime) -> datetime | None:
    """When the schedule fires next after a moment (both UTC).

    None: there is no schedule, it never fires again, or this machine doesn't have its zone any more.
    """
    if rule.schedule is None or zone_fault(rule.zone) is not None:
        return None
    return next(_fires(rule.schedule, rule.zone, after), None)


def moments(rule: CalendarRule, after: datetime, holidays: Holidays) -> Iterator[datetime]:
    """The moments (UTC) of a rule after one (UTC), in order, for `LONGEST`.

    A moment counts for the local day on which it falls. A calendar that isn't in `holidays` has no days. Raises
    `InvalidLifetime` for a zone that this machine doesn't have any more.
    """
    if (wrong := zone_fault(rule.zone)) is not None:
        raise InvalidLifetime(
            f"The rule '{rule}' can't be read: {wrong} on the machine of the service.",
            hint="Install its database of time zones; Debian has old names in the package tzdata-legacy.",
        )
    zone = ZoneInfo(rule.zone)
    left_out = frozenset[date]().union(*(holidays.get(name, frozenset()) for name in rule.without))
    end = after + LONGEST
    for moment in _fires(rule.schedule, rule.zone, after):
        if moment > end:
            return
        if moment.astimezone(zone).date() not in left_out:
            yield moment


def _fires(schedule: str, zone: str, after: datetime) -> Iterator[datetime]:
    # Seconds of the start are dropped by cronsim, which would repeat a moment that lies in the same second.
    start = after.astimezone(ZoneInfo(zone))
    last = after
    try:
        for moment in CronSim(schedule, start):
            utc = moment.astimezone(UTC)
            if utc > last:
                yield utc
                last = utc
    except OverflowError:  # the year 9999
        return
