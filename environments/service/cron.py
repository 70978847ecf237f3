"""Cron schedules, evaluated in a time zone.

Fixed times fire once for each local time that they name on each day that they name: when clocks go back, in the first
of the repeated hours; when they go forward, a skipped time fires when the skipped hour ends. Schedules whose minute or
hour begins with `*` go by elapsed time. cronsim behaves as Debian's cron here.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from environments.domain.calendar_rule import CalendarRule
from environments.domain.deadline import LONGEST
from environments.domain.errors import InvalidLifetime
from environments.domain.template_parts import DriftSchedule

_LONGEST = 200
"""Characters of a cron expression."""

_LAST_HOURS = timedelta(hours=3)

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
    begin: datetime | None = after
    while begin is not None:
        found, begin = _fires(rule.schedule, rule.zone, begin), None
        for moment in found:
            if moment > end:
                return
            day = moment.astimezone(zone).date()
            if day not in left_out:
                yield moment
            elif (over := _almost_over(day, left_out, zone)) > moment:
                begin = over
                break


def _almost_over(day: date, left_out: frozenset[date], zone: ZoneInfo) -> datetime:
    """Shortly before the end (UTC) of a day that is left out, and of those that follow it and are left out too.

    Whoever goes on there passes over the moments before: a rule may have very many of them. The last hours are looked
    at, in which clocks may change. Raises `OverflowError` after the year 9999.
    """
    while day in left_out:
        day += timedelta(days=1)
    return datetime.combine(day, time(), zone).astimezone(UTC) - _LAST_HOURS


def _fires(schedule: str, zone: str, after: datetime) -> Iterator[datetime]:
    # Seconds of the start are dropped by cronsim, which would repeat a moment that lies in the same second.
    start = after.astimezone(ZoneInfo(zone))
    last = after
    try:
        for moment in _InZone(schedule, start):
            utc = moment.astimezone(UTC)
            if utc > last:
                yield utc
                last = utc
    except OverflowError:  # the year 9999
        return


class _InZone(CronSim):
    """Cron's moments also near clock changes that skip a midnight, or half an hour.

    For rules of elapsed time cronsim goes on from the first minute of a day, and of an hour, without asking whether
    there is one. `dt` has no zone in rules of fixed times, which it puts right by itself.
    """

    def advance_month(self) -> None:
        super().advance_month()
        self._exist()

    def advance_day(self) -> bool:
        moved = super().advance_day()
        self._exist()
        return moved

    def advance_hour(self) -> bool:
        if self.dt.tzinfo is None:
            return super().advance_hour()
        day = self.dt.date()
        if self.dt.hour in self.hours:
            return False
        self.dt = self.dt.replace(second=0)
        while self.dt.hour not in self.hours and self.dt.date() == day:
            self.tick(seconds=60 * (60 - self.dt.minute))
        return True

    def _exist(self) -> None:
        if self.dt.tzinfo is not None:
            self.dt = self.dt.astimezone(UTC).astimezone(self.dt.tzinfo)
