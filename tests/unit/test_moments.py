"""Moments from the year 1 to 9999 in every zone: read, refused in words, and shown without a fault."""

import shutil
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.cli.arguments import read_lifetime
from environments.cli.environment_tables import deadline_line, details
from environments.domain.deadline import LONGEST, later, parse_moment
from environments.domain.errors import InvalidLifetime
from environments.moments import coarse, countdown, in_zone, local_zone, moment, taken, time_of_day, zone_name
from environments.wire.environments import EnvironmentView
from tests.fakes.plans import NOW
from tests.support.views import environment_view
from tui.clock import Clock

LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
FIRST = datetime(1, 1, 1, tzinfo=UTC)
TOKYO = ZoneInfo("Asia/Tokyo")
NEW_YORK = ZoneInfo("America/New_York")
RULE = "CET-1CEST,M3.5.0,M10.5.0/3"


def test_the_ends_of_time_are_shown_in_every_zone() -> None:
    assert moment(LAST, TOKYO) == "9999-12-31 23:59:59 UTC"
    assert moment(LAST, NEW_YORK) == "9999-12-31 18:59:59 EST"
    assert moment(FIRST, NEW_YORK) == "0001-01-01 00:00:00 UTC"
    assert moment(FIRST, TOKYO).startswith("0001-01-01 09:18:59")
    assert time_of_day(LAST, TOKYO) == "23:59:59"
    assert Clock(now=lambda: NOW, zone=TOKYO).moment(LAST) == "Fri 31 Dec 9999 23:59 UTC"
    view: EnvironmentView = environment_view(deadline=LAST).model_copy(update={"created_at": FIRST})
    assert deadline_line(view, TOKYO, NOW).endswith("d.")
    assert any("9999-12-31" in line for line in details(view, TOKYO, NOW))
    assert coarse(LAST - FIRST) == countdown(LAST - FIRST) == taken(LAST - FIRST) == "3652058d"


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(sorted(available_timezones())))
def test_every_moment_is_shown_in_every_zone(at: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    assert in_zone(at, zone) == at
    assert moment(at, zone)
    assert zone_name(zone, at) == name


@given(st.datetimes(), st.sampled_from(sorted(available_timezones())))
def test_every_wall_clock_time_is_a_moment_or_refused_in_words(at: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    with suppress(InvalidLifetime):
        assert parse_moment(at.isoformat(), zone).astimezone(zone).replace(tzinfo=None) == at


@pytest.mark.parametrize(
    ("text", "zone", "said"),
    [
        ("9999-12-31T23:59:59", NEW_YORK, "'9999-12-31T23:59:59' is not within the years 1 to 9999 in UTC."),
        ("0001-01-01T00:00", TOKYO, "'0001-01-01T00:00' is not within the years 1 to 9999 in UTC."),
        ("9999-12-31T23:59:59-01:00", TOKYO, "'9999-12-31T23:59:59-01:00' is not within the years 1 to 9999 in UTC."),
        ("0001-01-01T00:00+14:00", NEW_YORK, "'0001-01-01T00:00+14:00' is not within the years 1 to 9999 in UTC."),
        ("10000-01-01T00:00", UTC, "'10000-01-01T00:00' is not a moment."),
        ("2027-03-28T02:30", local_zone({"TZ": RULE}), "2027-03-28T02:30 does not exist in CEST: the clock is put"),
        ("2027-03-28T02:30", ZoneInfo("Europe/Berlin"), "2027-03-28T02:30 does not exist in Europe/Berlin: the clock"),
        ("\udcff", UTC, "'\\udcff' is not a moment."),
        ("9" * 5000, UTC, f"'{'9' * 60}' is not a moment."),
    ],
    ids=["last", "first", "offset", "early offset", "10000", "rule", "name", "bytes", "digits"],
)
def test_what_is_no_moment_is_refused_in_words(text: str, zone: ZoneInfo, said: str) -> None:
    with pytest.raises(InvalidLifetime) as refused:
        read_lifetime(None, text, zone)
    assert refused.value.message.startswith(said)


def test_a_rule_of_posix_is_the_zone(tmp_path: Path) -> None:
    (tmp_path / "timezone").write_text("Asia/Tokyo\n")
    zone, berlin = local_zone({"TZ": RULE}, tmp_path), ZoneInfo("Europe/Berlin")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    while at.year < 2040:
        assert at.astimezone(zone).replace(tzinfo=None) == at.astimezone(berlin).replace(tzinfo=None)
        assert at.astimezone(zone).tzname() == at.astimezone(berlin).tzname()
        at += timedelta(hours=7)
    assert zone_name(zone, datetime(2026, 7, 1, tzinfo=UTC)) == "CEST"
    assert parse_moment("2026-12-27T12:00", zone) == datetime(2026, 12, 27, 11, tzinfo=UTC)
    for rule, winter, summer in (
        ("EST5EDT", -5, -4),
        ("CET-1CEST", 1, 2),
        ("JST-9", 9, 9),
        ("<+0530>-5:30", 5.5, 5.5),
        (":UTC0", 0, 0),
        ("EST+5EDT,J60,J300/1", -5, -4),
    ):
        found = local_zone({"TZ": rule}, tmp_path)
        for month, hours in ((1, winter), (7, summer)):
            assert datetime(2026, month, 1, tzinfo=found).utcoffset() == timedelta(hours=hours), rule


@pytest.mark.parametrize(
    "wanted", ["no/such", "CET-1CEST,nonsense", "CET-99999", "XYZ", "../../etc/passwd", "\udcff", "A\0"]
)
def test_what_is_no_zone_leaves_that_of_the_machine(tmp_path: Path, wanted: str) -> None:
    (tmp_path / "timezone").write_text("Asia/Tokyo\n")
    assert local_zone({"TZ": wanted}, tmp_path) == TOKYO


def test_the_zone_of_the_machine_is_what_its_c_library_takes(tmp_path: Path) -> None:
    """A file that isn't linked has rules as well; TZ that is empty is UTC; /etc/timezone is nobody's but ours."""
    files = [Path(folder) / "Europe/Paris" for folder in TZPATH]
    found = next((file for file in files if file.exists()), None)
    if found is None:
        pytest.skip("this machine has no files of zones")
    (tmp_path / "timezone").write_text("Asia/Tokyo\n")
    shutil.copy(found, tmp_path / "localtime")
    copied = local_zone({}, tmp_path)
    for month in (1, 7):
        at = datetime(2031, month, 1, tzinfo=UTC)
        assert at.astimezone(copied).utcoffset() == at.astimezone(ZoneInfo("Europe/Paris")).utcoffset()
    (tmp_path / "localtime").unlink()
    (tmp_path / "localtime").symlink_to(found)
    assert local_zone({}, tmp_path) == ZoneInfo("Europe/Paris")
    assert local_zone({"TZ": f":{found}"}, tmp_path) == ZoneInfo("Europe/Paris")
    assert local_zone({"TZ": ""}, tmp_path) is UTC
    (tmp_path / "localtime").unlink()
    (tmp_path / "localtime").write_bytes(b"\xff no zone")
    assert local_zone({}, tmp_path) == TOKYO


def test_nothing_is_later_than_the_last_year() -> None:
    assert later(FIRST, timedelta(days=1)).day == 2
    with pytest.raises(InvalidLifetime, match="3660d after 9999-12-31 is later than the year 9999"):
        later(LAST, LONGEST)
