"""Time for people, in every front end: this machine's zone, moments in it, short durations."""

import io
import os
import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_NAME = r"(?:[A-Za-z]{3,10}|<[A-Za-z0-9+-]{3,10}>)"
_POSIX = re.compile(_NAME + r"[+-]?[0-9][!-~]{0,200}")
"""The beginning of a POSIX rule: `CET-1CEST,M3.5.0,M10.5.0/3`, `<+0530>-5:30`."""

_POSIX_DAYLIGHT = re.compile(rf"{_NAME}[+-]?[0-9:]+{_NAME}[0-9:+-]*")
"""A POSIX rule with daylight saving that doesn't say when it is: `EST5EDT`."""

_DEFAULT_RULE = ",M3.2.0,M11.1.0"
"""When daylight saving begins and ends if a rule doesn't say it; as in the GNU C library."""


def local_zone(environ: Mapping[str, str] = os.environ, etc: Path = Path("/etc")) -> tzinfo:
    """This machine's zone with its rules: TZ (a name, a file or a rule of POSIX; empty: UTC), /etc/localtime,
    /etc/timezone; else the present offset.

    Rules matter: a deadline beyond the next change of the clock must be shown with the offset that holds then.
    """
    wanted = environ.get("TZ")
    if wanted == "":
        return UTC
    for zone in _zones((wanted or "").removeprefix(":"), etc):
        return zone
    return datetime.now(UTC).astimezone().tzinfo or UTC


def _zones(wanted: str, etc: Path) -> Iterator[tzinfo]:
    """The usable zones, the best first."""
    if wanted.startswith("/"):
        yield from _of_file(Path(wanted))
    elif wanted:
        yield from _named(wanted)
        yield from _of_rule(wanted)
    yield from _of_file(etc / "localtime")
    with suppress(OSError, ValueError):
        yield from _named((etc / "timezone").read_text(encoding="utf-8").strip())


def _named(name: str) -> Iterator[tzinfo]:
    with suppress(ZoneInfoNotFoundError, ValueError, OSError):
        if name:
            yield ZoneInfo(name)


def _of_file(path: Path) -> Iterator[tzinfo]:
    """By its name in the zone database, else by its content."""
    yield from _named(os.path.realpath(path).partition("/zoneinfo/")[2])
    with suppress(OSError, ValueError), path.open("rb") as file:
        yield ZoneInfo.from_file(file)


def _of_rule(rule: str) -> Iterator[tzinfo]:
    """A POSIX rule ends every file of the zone database (RFC 8536, 3.3); this makes a file with nothing else."""
    if not _POSIX.fullmatch(rule):
        return
    if _POSIX_DAYLIGHT.fullmatch(rule):
        rule += _DEFAULT_RULE
    counts = struct.pack(">4s c 15x 6l", b"TZif", b"3", 0, 0, 0, 0, 1, 4)  # one type of local time, "UTC"
    block = counts + struct.pack(">l b B", 0, 0, 0) + b"UTC\0"
    with suppress(ValueError):
        yield ZoneInfo.from_file(io.BytesIO(block + block + b"\n" + rule.encode() + b"\n"))


def in_zone(at: datetime, zone: tzinfo) -> datetime:
    """The moment in a zone; in UTC where it would be before the year 1 or after 9999 there."""
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at.astimezone(UTC)


def zone_name(zone: tzinfo, now: datetime) -> str:
    """The common name of a zone: `Europe/Berlin`, or its abbreviation at the moment."""
    return str(getattr(zone, "key", None) or in_zone(now, zone).tzname() or "UTC")


def moment(at: datetime, zone: tzinfo) -> str:
    """A moment in a zone, with its abbreviation: `2026-12-01 18:00:00 CET`."""
    local = in_zone(at, zone)
    return f"{local.year:04}-{local:%m-%d %H:%M:%S %Z}"


def time_of_day(at: datetime, zone: tzinfo) -> str:
    """The time to the second, for log lines."""
    return f"{in_zone(at, zone):%H:%M:%S}"


def coarse(duration: timedelta) -> str:
    """A duration for an age: its largest unit, or two if that is a day or an hour (`3d4h`, `2h05m`, `12m`, `40s`)."""
    seconds = max(int(duration.total_seconds()), 0)
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days}d{hours}h" if days < 100 else f"{days}d"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m" if minutes else f"{seconds}s"


def countdown(duration: timedelta) -> str:
    """The remaining duration: to the second in the last hour (`1d4h`, `2h05m`, `12m40s`, `40s`)."""
    seconds = max(int(duration.total_seconds()), 0)
    if seconds >= 3600:
        return coarse(duration)
    return f"{seconds // 60}m{seconds % 60:02}s" if seconds >= 60 else f"{seconds}s"


def taken(duration: timedelta) -> str:
    """How long something took: with tenths below ten seconds (`0.4s`, `12s`, `2m05s`)."""
    seconds = max(duration.total_seconds(), 0.0)
    return f"{seconds:.1f}s" if seconds < 10 else countdown(duration)
