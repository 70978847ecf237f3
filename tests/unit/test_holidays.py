"""Days of holiday calendars, from iCalendar files and from lists."""

import signal
from datetime import date
from pathlib import Path

import pytest

from environments import holidays
from environments.domain.errors import InvalidInput
from environments.holidays import read_holidays

TODAY = date(2026, 11, 27)


def _icalendar(*events: str) -> str:
    body = "".join(f"BEGIN:VEVENT\r\nUID:{number}\r\n{event}END:VEVENT\r\n" for number, event in enumerate(events))
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//test\r\n{body}END:VCALENDAR\r\n"


def _read(folder: Path, text: str) -> dict[str, str]:
    path = folder / "holidays"
    path.write_text(text, newline="")
    return {holiday.day.isoformat(): holiday.title for holiday in read_holidays(path, TODAY)}


def test_a_list_has_a_day_in_each_line(tmp_path: Path) -> None:
    text = "# the Netherlands\n2027-12-25 Christmas\n\n2027-04-27\n"
    assert _read(tmp_path, text) == {"2027-04-27": "", "2027-12-25": "Christmas"}


def test_events_of_one_and_of_several_days_are_read(tmp_path: Path) -> None:
    text = _icalendar(
        "SUMMARY:King's Day\r\nDTSTART;VALUE=DATE:20270427\r\n",
        "SUMMARY:Christmas\r\nDTSTART;VALUE=DATE:20271225\r\nDTEND;VALUE=DATE:20271227\r\n",
        "SUMMARY:An evening\r\nDTSTART:20271205T180000Z\r\nDTEND:20271205T220000Z\r\n",
    )
    assert _read(tmp_path, text) == {
        "2027-04-27": "King's Day",
        "2027-12-05": "An evening",
        "2027-12-25": "Christmas",
        "2027-12-26": "Christmas",
    }


def test_events_that_recur_are_taken_for_twenty_years(tmp_path: Path) -> None:
    text = _icalendar(
        "SUMMARY:King's Day\r\nDTSTART;VALUE=DATE:20140427\r\nRRULE:FREQ=YEARLY\r\nEXDATE;VALUE=DATE:20280427\r\n",
        "SUMMARY:Thanksgiving\r\nDTSTART;VALUE=DATE:20261126\r\n"
        "RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;UNTIL=20281231\r\n",
    )
    found = _read(tmp_path, text)
    kings = sorted(day for day, title in found.items() if title == "King's Day")
    assert (kings[0], kings[1], kings[-1], len(kings)) == ("2014-04-27", "2026-04-27", "2045-04-27", 20)
    assert "2028-04-27" not in found
    assert sorted(day for day, title in found.items() if title == "Thanksgiving") == [
        "2026-11-26",
        "2027-11-25",
        "2028-11-23",
    ]


def test_a_rule_without_an_end_ends(tmp_path: Path) -> None:
    found = _read(tmp_path, _icalendar("DTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=DAILY\r\n"))
    assert 7000 < len(found) < 8000


_DAY = "DTSTART;VALUE=DATE:20260101\r\n"
_WRONG = {
    "nothing": "",
    "no day": "tomorrow\n",
    "an event without a day": _icalendar("SUMMARY:no day\r\n"),
    "an unknown rule": _icalendar(f"{_DAY}RRULE:FREQ=SOMETIMES\r\n"),
    "an event of decades": _icalendar(f"{_DAY}DTEND;VALUE=DATE:20990101\r\n"),
    "a rule of seconds": _icalendar(f"{_DAY}RRULE:FREQ=SECONDLY\r\n"),
    "a rule of hours that never fires": _icalendar(f"{_DAY}RRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30\r\n"),
    "a rule that goes back": _icalendar(f"{_DAY}RRULE:FREQ=DAILY;INTERVAL=-1\r\n"),
    "a duration without end": _icalendar(f"{_DAY}DURATION:P99999999999999999D\r\n"),
    "days after the last year": _icalendar("DTSTART;VALUE=DATE:99991231\r\nDURATION:P3D\r\n"),
    "a period": _icalendar(f"{_DAY}RDATE;VALUE=PERIOD:20260101T000000Z/P1D\r\n"),
    "a long line": f"BEGIN:VCALENDAR\r\n{'BEGIN:VEVENT' * 5_000}",
    "events in events": "\r\n".join(
        ["BEGIN:VCALENDAR", *["BEGIN:VEVENT"] * 5_000, *["END:VEVENT"] * 5_000, "END:VCALENDAR", ""]
    ),
    "no calendar": "BEGIN:VCALENDAR\r\nnonsense",
}


@pytest.mark.parametrize("text", _WRONG.values(), ids=_WRONG)
def test_what_has_no_days_is_refused_in_words(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput):
        _read(tmp_path, text)


def test_a_file_has_a_largest_size(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="4 MiB"):
        _read(tmp_path, "#" * (4 * 1024 * 1024 + 1))


def test_what_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holidays, "_LIMIT", 0.2)
    never = "DTSTART;VALUE=DATE:00010101\r\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30\r\n"
    with pytest.raises(InvalidInput, match=r"longer than 0\.2 s"):
        _read(tmp_path, _icalendar(*[never] * 10_000))
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


def test_a_rule_that_names_the_same_moment_for_ever_ends(tmp_path: Path) -> None:
    """With an interval of 0 it has its first day alone."""
    assert list(_read(tmp_path, _icalendar("DTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=DAILY;INTERVAL=0\r\n"))) == [
        "2026-01-01"
    ]


def test_many_events_of_many_days_end_at_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holidays, "_MOST", 100)
    year = "DTSTART;VALUE=DATE:20260101\r\nDTEND;VALUE=DATE:20261231\r\n"
    assert len(_read(tmp_path, _icalendar(*[year] * 50))) == 100
