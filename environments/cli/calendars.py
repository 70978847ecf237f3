"""`calvinverse calendar`: holiday calendars, whose days rules can leave out."""

from pathlib import Path
from typing import Annotated

import typer

from environments.cli.options import DryRun
from environments.cli.session import Session, command

CalendarName = Annotated[str, typer.Argument(metavar="NAME", help="A holiday calendar.")]


@command("calendar", "list", examples="calvinverse calendar list")
def list_calendars(session: Session) -> None:
    from environments.cli.timing_tables import calendar_lines

    found = session.client.calendars()
    session.show(found, lambda: calendar_lines(found, session.zone))
    if not found and not session.json:
        session.say("There are no holiday calendars. Make one: `calvinverse calendar set NAME FILE`.")


@command("calendar", "show", examples="calvinverse calendar show nl")
def show_calendar(session: Session, name: CalendarName) -> None:
    from environments.cli.tables import table

    found = session.client.calendar(name)
    session.show(
        found, lambda: table(("DAY", "TITLE"), [(holiday.day.isoformat(), holiday.title) for holiday in found.days])
    )


@command(
    "calendar",
    "set",
    more="""
        FILE is an iCalendar file (.ics), or has a day in each line, such as `2027-04-27 King's Day`; `-` reads standard
        input. Events that recur each year are taken until 20 years from now. No deadline moves into the past.
    """,
    examples="""
        calvinverse calendar set nl holidays.ics
        calvinverse calendar set nl holidays.ics --dry-run
    """,
)
def set_calendar(
    session: Session,
    name: CalendarName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An iCalendar file, or a list of days.")],
    dry_run: DryRun = False,
) -> None:
    from environments.cli.timing_tables import effect_lines
    from environments.holidays import read_holidays
    from environments.wire.timing import CalendarRequest

    request = CalendarRequest(days=tuple(read_holidays(file, session.now().date())))
    effect = session.client.set_calendar(name, request, dry_run=dry_run)
    session.show(effect, lambda: effect_lines(effect, session.zone))
    if effect.applied:
        session.say(f"{name} has {len(effect.calendar.days)} days. Rules leave them out with `except {name}`.")


@command("calendar", "remove", examples="calvinverse calendar remove nl")
def remove_calendar(session: Session, name: CalendarName) -> None:
    found = session.client.remove_calendar(name)
    session.show(found, lambda: [f"{found.name} is removed."])
