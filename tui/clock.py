"""The TUI's time: one `now` and one zone, passed in, so that everything it shows is reproducible."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from environments.moments import in_zone, time_of_day, zone_name


def utc_now() -> datetime:
    """The only place where the TUI reads the machine's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clock:
    """`now` gives the present moment in UTC; `zone` is the zone in which times are shown."""

    now: Callable[[], datetime]
    zone: tzinfo

    def moment(self, at: datetime) -> str:
        """A moment with day and zone: `Tue 24 Nov 02:00 CET`; with the year if it isn't the current one."""
        local = in_zone(at, self.zone)
        year = "" if local.year == in_zone(self.now(), self.zone).year else f" {local.year:04}"
        return f"{local:%a %-d %b}{year} {local:%H:%M %Z}"

    def time(self, at: datetime) -> str:
        """The time of day to the second, for log lines."""
        return time_of_day(at, self.zone)

    def zone_name(self) -> str:
        """The common name of the zone: `Europe/Berlin`, or its abbreviation."""
        return zone_name(self.zone, self.now())
