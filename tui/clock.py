"""The TUI's time: one `now` and one zone, passed in, so that everything it shows can be repeated."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def utc_now() -> datetime:
    """The one place where the TUI looks at the machine's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clock:
    """`now` gives the present moment in UTC; `zone` is the one that people read times in."""

    now: Callable[[], datetime]
    zone: tzinfo

    def moment(self, at: datetime) -> str:
        """A moment with day and zone: `Tue 24 Nov 02:00 CET`; with the year when it isn't this one."""
        local = at.astimezone(self.zone)
        year = "" if local.year == self.now().astimezone(self.zone).year else f" {local.year}"
        return f"{local:%a %-d %b}{year} {local:%H:%M %Z}"

    def time(self, at: datetime) -> str:
        """The time of day to the second, for lines of a log."""
        return f"{at.astimezone(self.zone):%H:%M:%S}"

    def zone_name(self) -> str:
        """The name of the zone as people know it: `Europe/Berlin`, or its abbreviation."""
        return str(getattr(self.zone, "key", None) or self.now().astimezone(self.zone).tzname() or "UTC")


def local_zone(environ: Mapping[str, str] = os.environ, etc: Path = Path("/etc")) -> tzinfo:
    """This machine's zone with its rules: TZ, /etc/timezone, or the link /etc/localtime; else the present offset.

    Rules matter: a deadline beyond the next change of the clock must be shown with the offset that holds then.
    """
    names = [environ.get("TZ", "").removeprefix(":")]
    try:
        names.append((etc / "timezone").read_text(encoding="utf-8").strip())
    except OSError:
        names.append("")
    target = os.path.realpath(etc / "localtime")
    names.append(target.partition("/zoneinfo/")[2])
    for name in filter(None, names):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return utc_now().astimezone().tzinfo or UTC


def coarse(duration: timedelta) -> str:
    """A duration for an age: its largest unit, two when that is a day or an hour (`3d4h`, `2h05m`, `12m`, `40s`)."""
    seconds = max(int(duration.total_seconds()), 0)
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days}d{hours}h" if days < 100 else f"{days}d"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m" if minutes else f"{seconds}s"


def countdown(duration: timedelta) -> str:
    """A duration that is running out: to the second in its last hour (`1d4h`, `2h05m`, `12m40s`, `40s`)."""
    seconds = max(int(duration.total_seconds()), 0)
    if seconds >= 3600:
        return coarse(duration)
    return f"{seconds // 60}m{seconds % 60:02}s" if seconds >= 60 else f"{seconds}s"


def taken(duration: timedelta) -> str:
    """How long something took: tenths below ten seconds (`0.4s`, `12s`, `2m05s`)."""
    seconds = max(duration.total_seconds(), 0.0)
    return f"{seconds:.1f}s" if seconds < 10 else countdown(duration)
