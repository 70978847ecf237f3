"""When a cron expression fires, found minute by minute and day by day: slow, and without a library for cron."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Schedule:
    """What an expression means, beside its text: `fixed` if neither minute nor hour begins with `*`.

    `weekdays`: 0 is Sunday. `either`: one of day and weekday is enough, since both are restricted.
    """

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    fixed: bool
    either: bool

    def on(self, day: date) -> bool:
        """Whether it names this day."""
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (by_day or by_weekday if self.either else by_day and by_weekday)


def fires(schedule: Schedule, zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[datetime]:
    """Its moments (UTC), in order: later than `after`, at the latest `until`. Two at the same moment are one."""
    found = _by_day(schedule, zone, after, until) if schedule.fixed else _by_minute(schedule, zone, after, until)
    yield from sorted({moment for moment in found if after < moment <= until})


def _by_day(schedule: Schedule, zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[datetime]:
    day = after.astimezone(zone).date() - timedelta(days=2)
    while day <= until.astimezone(zone).date() + timedelta(days=2):
        if schedule.on(day):
            for hour in schedule.hours:
                for minute in schedule.minutes:
                    yield _moment(datetime.combine(day, time(hour, minute)), zone)
        day += timedelta(days=1)


def _moment(local: datetime, zone: ZoneInfo) -> datetime:
    """The first moment with that local time, or with the first later one that exists."""
    while True:
        utc = local.replace(tzinfo=zone).astimezone(UTC)
        if utc.astimezone(zone).replace(tzinfo=None) == local:
            return utc
        local += MINUTE


def _by_minute(schedule: Schedule, zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[datetime]:
    moment = after.replace(second=0, microsecond=0)
    while moment <= until:
        local = moment.astimezone(zone)
        if local.minute in schedule.minutes and local.hour in schedule.hours and schedule.on(local.date()):
            yield moment
        moment += MINUTE
