"""Reads the days of a holiday calendar from an iCalendar file (RFC 5545), or from a list with a day in each line."""

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from environments.domain.errors import InvalidInput
from environments.domain.timing import LONGEST_TITLE, Holiday

LARGEST = 4 * 1024 * 1024
"""Bytes of a file."""

YEARS = 20
"""How far ahead events that recur are taken."""

_MOST = 20_000
"""Days, and occurrences of one event; the service takes fewer."""

_LONGEST_EVENT = timedelta(days=366)

_DAYS_APART = re.compile("FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)")

_LIMIT = 20.0
"""Seconds of processor time for a file: a rule in a few bytes can name moments for years of computing."""


class _TooLong(BaseException):
    """The file takes longer than `_LIMIT`. No library catches it on its way."""


def read_holidays(file: Path, today: date) -> list[Holiday]:
    """The days in order, each once. Raises `InvalidInput`.

    An event of several days has all of them. Events that recur are taken from the beginning of this year until
    `YEARS` from `today`.
    """
    content = sys.stdin.buffer.read(LARGEST + 1) if str(file) == "-" else _read(file)
    if len(content) > LARGEST:
        raise InvalidInput(f"{file} has more than {LARGEST // 1024 // 1024} MiB.", hint="Use a smaller file.")
    found = _of_icalendar(content, file, today) if b"BEGIN:VCALENDAR" in content[:4096] else _of_lines(content, file)
    try:
        with _limited():
            days = {holiday.day: holiday for holiday in islice(found, _MOST)}
    except _TooLong:
        raise InvalidInput(
            f"{file} takes longer than {_LIMIT:g} s to read.", hint="Use a file with fewer events and simpler rules."
        ) from None
    if not days:
        raise InvalidInput(f"{file} has no days.", hint="Write a day in each line, such as `2027-04-27 King's Day`.")
    return [days[day] for day in sorted(days)]


@contextmanager
def _limited() -> Iterator[None]:
    """Ends the block after `_LIMIT` with `_TooLong`. For the main thread, the only one that gets signals."""

    def end(_signal: int, _frame: object) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, _LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(LARGEST + 1)


def _of_lines(content: bytes, file: Path) -> Iterator[Holiday]:
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        day, _, title = text.partition(" ")
        try:
            yield Holiday(day=date.fromisoformat(day), title=title.strip()[:LONGEST_TITLE])
        except ValueError:
            raise InvalidInput(
                f"Line {number} of {file} doesn't begin with a day: {text[:40]!r}.",
                hint="Write a day in each line, such as `2027-04-27 King's Day`.",
            ) from None


def _of_icalendar(content: bytes, file: Path, today: date) -> Iterator[Holiday]:
    try:
        from icalendar import Calendar
    except ModuleNotFoundError as error:
        raise InvalidInput(
            "Reading iCalendar files needs a package that isn't installed here.",
            hint="Install calvinverse[calendars], or give a list with a day in each line.",
        ) from error
    try:
        events = Calendar.from_ical(content).walk("VEVENT")
        for event in events:
            yield from _days(event, today)
    except KeyError as error:
        raise InvalidInput(f"{file} is no iCalendar file that can be read: an event has no {error.args[0]}.") from error
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"{file} is no iCalendar file that can be read: {error}.") from error


def _days(event: Any, today: date) -> Iterator[Holiday]:
    first = _day(event.decoded("DTSTART"))
    length = _length(event, first)
    title = str(event.get("SUMMARY", ""))[:LONGEST_TITLE]
    left_out = {_day(value.dt) for part in _list(event.get("EXDATE")) for value in part.dts}
    for start in _starts(event, first, today):
        if start not in left_out:
            for offset in range(length):
                yield Holiday(day=start + timedelta(days=offset), title=title)


def _starts(event: Any, first: date, today: date) -> Iterator[date]:
    from dateutil.rrule import rrulestr  # type: ignore[import-untyped]  # it comes without types

    yield first
    for part in _list(event.get("RDATE")):
        for value in part.dts:
            yield _day(value.dt)
    since = datetime.combine(today.replace(month=1, day=1), time())
    until = since + timedelta(days=366 * YEARS)
    for rule in _list(event.get("RRULE")):
        # Without zones: a holiday is a day, wherever somebody is.
        text = rule.to_ical().decode().replace("Z", "")
        if not _DAYS_APART.search(text):
            raise ValueError("an event recurs more often than once a day")
        recurring = rrulestr(text, dtstart=datetime.combine(first, time()))
        for moment in islice(recurring.xafter(max(since, datetime.combine(first, time())), inc=True), _MOST):
            if moment > until:
                break
            yield moment.date()


def _length(event: Any, first: date) -> int:
    if "DTEND" in event:
        end = event.decoded("DTEND")
        last = _day(end) if not isinstance(end, datetime) else _day(end - timedelta(microseconds=1)) + timedelta(days=1)
        length = last - first
    else:
        length = event.decoded("DURATION", timedelta(days=1))
    if length > _LONGEST_EVENT:
        raise ValueError(f"an event lasts longer than {_LONGEST_EVENT.days} days")
    return max(length.days, 1)


def _day(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value


def _list(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]
