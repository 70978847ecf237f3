"""Rules of the calendar: at which local times something happens to an environment. No clock in here."""

import re

from pydantic import BaseModel, ConfigDict

from environments.domain.errors import InvalidLifetime

LONGEST_RULE = 300
"""Characters of a rule."""

_FIELDS = 5
CALENDAR_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HINT = (
    "Write minute, hour, day of the month, month and day of the week, then a time zone, such as "
    "'0 19 * * 1-5 Europe/Amsterdam'; 'except NAME' leaves out the days of a holiday calendar."
)


class CalendarRule(BaseModel):
    """A cron expression of five fields, read in a time zone, without the days of some holiday calendars.

    `schedule` is cron's, `zone` a name of the IANA database, `without` names of holiday calendars.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schedule: str
    zone: str = "UTC"
    without: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.schedule} {self.zone}"
        return f"{text} except {','.join(self.without)}" if self.without else text


def parse_rule(text: str) -> CalendarRule:
    """`0 19 * * 1-5 Europe/Amsterdam except dutch-holidays`; without a zone: UTC. Raises `InvalidLifetime`.

    Neither the schedule nor the zone is checked here: that takes cron and the database of zones.
    """
    words = text.split()
    shown = text[:60]
    if len(text) > LONGEST_RULE:
        raise InvalidLifetime(f"The calendar rule {shown!r}… has more than {LONGEST_RULE} characters.", hint=_HINT)
    if len(words) < _FIELDS:
        raise InvalidLifetime(f"{shown!r} is not a calendar rule.", hint=_HINT)
    schedule, rest = " ".join(words[:_FIELDS]), words[_FIELDS:]
    zone = rest.pop(0) if rest and rest[0] != "except" else "UTC"
    without: tuple[str, ...] = ()
    if rest:
        if rest[0] != "except" or len(rest) < 2:
            raise InvalidLifetime(f"{shown!r} is not a calendar rule.", hint=_HINT)
        without = tuple(name for name in "".join(rest[1:]).split(",") if name)
        for name in without:
            if not CALENDAR_NAME.fullmatch(name):
                raise InvalidLifetime(f"{name[:60]!r} can't be the name of a holiday calendar.", hint=_HINT)
    return CalendarRule(schedule=schedule, zone=zone, without=without)
