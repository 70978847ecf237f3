"""The dialogs of holiday calendars."""

import contextlib
from datetime import date
from pathlib import Path

from textual.app import ComposeResult
from textual.widgets import Static

from environments.client import Client
from environments.domain.calendar_rule import CALENDAR_NAME
from environments.domain.errors import InvalidInput
from environments.domain.timing import Holiday
from environments.holidays_apart import read_apart
from environments.wire.timing import CalendarRequest, CalendarView, EffectView
from environments.words import clean
from tui.clock import Clock
from tui.dialogs import Dialog
from tui.effect_dialog import Edit, EffectDialog
from tui.fields import TextField


class CalendarDialog(EffectDialog):
    """Sets the days of a holiday calendar from a file of this machine."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("Set a holiday calendar", "Set it", "set", clock)

    def fields(self) -> ComposeResult:
        """Its name, and the file."""
        yield TextField("name", "Name", "rules leave its days out with `except NAME`", required=True)
        yield TextField(
            "file",
            "File",
            "iCalendar (.ics), or a day in each line, such as 2027-04-27 King's Day",
            placeholder="~/holidays.ics",
            required=True,
        )

    def on_mount(self) -> None:
        """Focuses the first field."""
        super().on_mount()
        self.field("name").control().focus()

    def _typed(self, key: str) -> str:
        return str(self.field(key).value).strip()

    def read(self) -> Edit | None:
        """The days, which are read from the file again for each request."""
        name, file = self._typed("name"), self._typed("file")
        wrong = bool(name) and not CALENDAR_NAME.fullmatch(name)
        self.field("name").say("It has lower-case letters, digits and hyphens." if wrong else "")
        if not name or wrong or not file:
            return None
        today = self._clock.now().astimezone(self._clock.zone).date()

        def edit(client: Client, dry: bool) -> EffectView:
            return client.set_calendar(name, CalendarRequest(days=tuple(days_of(file, today))), dry_run=dry)

        return edit

    def named(self) -> str:
        """The calendar."""
        return self._typed("name")

    def subject(self) -> str:
        """The calendar."""
        return f"The holiday calendar {self.named()}"


class DaysDialog(Dialog):
    """Shows the days of a holiday calendar. It changes nothing."""

    back = "Back (esc)"
    cautious = True

    def __init__(self, name: str) -> None:
        super().__init__(f"Days of {name}", "Reload")
        self._calendar = name

    def body(self) -> ComposeResult:
        """The list, once the service has answered."""
        yield Static("Asking the service…", id="days", markup=False)

    def on_mount(self) -> None:
        """Asks."""
        super().on_mount()
        self.go()

    def go(self) -> None:
        """Asks the service."""

        def done(found: CalendarView) -> None:
            self.complain(None)
            lines = [f"{one.day:%a} {one.day.isoformat()}  {clean(one.title)}".rstrip() for one in found.days]
            self.query_one("#days", Static).update("\n".join(lines))

        client, name = self.shell.client, self._calendar
        self.ask(lambda: client().calendar(name), done, self.complain)


def days_of(file: str, today: date) -> list[Holiday]:
    """The days in a file; `~` is the person's home. Raises `InvalidInput`, also if it can't be read."""
    path = Path(file)
    with contextlib.suppress(RuntimeError):  # the home of somebody who isn't known here
        path = path.expanduser()
    path = path.absolute()
    if not path.is_file():
        hint = "Give the path of an iCalendar file (.ics), or of a list with a day in each line."
        raise InvalidInput(f"There is no file {path}.", hint=hint)
    return read_apart(path, today)
