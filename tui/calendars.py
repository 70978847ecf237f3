"""The holiday calendars, whose days rules can leave out."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content

from environments.actions.action import Place
from environments.actions.registry import action
from environments.client import Client
from environments.domain.timing import Holiday
from environments.wire.timing import CalendarView
from environments.words import clean
from tui.calendar_dialogs import CalendarDialog, DaysDialog
from tui.dialogs import ConfirmDialog
from tui.keys import bindings
from tui.rows import Column
from tui.things import Cell, ThingsScreen

_NEXT = 3
"""Days that are shown of the selected calendar."""

_NONE = "No holiday calendar is selected."


class CalendarsScreen(ThingsScreen[CalendarView]):
    """Lists the calendars and their days; admins set and remove them."""

    PLACE = Place.CALENDARS
    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.CALENDARS)
    COLUMNS = (
        Column("name", "Name", 0),
        Column("days", "Days", 5),
        Column("from", "From", 24),
        Column("by", "Set by", 16, needs=70),
        Column("at", "Set at", 25, needs=100),
    )

    def load(self, client: Client) -> Sequence[CalendarView]:
        """All of them."""
        return client.calendars()

    def heading(self) -> Content:
        """How many there are."""
        count = f" — {len(self.things)}" if self.things else ""
        return Content.assemble((f"Holiday calendars{count}", "bold $accent"))

    def key_of(self, thing: CalendarView) -> str:
        """Its name."""
        return thing.name

    def cells(self, thing: CalendarView) -> Sequence[Cell]:
        """Its name, the number of its days, the first and the last of them, and who set it."""
        clock = self.shell.clock
        return (
            (thing.name, "plain"),
            (str(len(thing.days)), "plain"),
            (f"{thing.days[0].day} to {thing.days[-1].day}", "plain"),
            (clean(thing.set_by), "gone"),
            (clock.moment(thing.set_at), "gone"),
        )

    def in_full(self, thing: CalendarView) -> Content:
        """Its next days, and how a rule refers to it."""
        clock = self.shell.clock
        today = clock.now().astimezone(clock.zone).date()
        coming = [holiday for holiday in thing.days if holiday.day >= today]
        more = f", and {len(coming) - _NEXT} more" if len(coming) > _NEXT else ""
        said = f"Next: {', '.join(map(_day, coming[:_NEXT]))}{more}." if coming else "All of its days are over."
        return Content("\n").join(
            [
                Content.assemble((thing.name, "bold"), (f"  set by {clean(thing.set_by)}", "$faint")),
                Content(said),
                Content.assemble(("Rules leave its days out with ", "$faint"), f"except {thing.name}"),
            ]
        )

    def none_yet(self) -> Content:
        """What they are, and how to set one."""
        return Content.assemble(
            ("There are no holiday calendars.\n\n", "bold"),
            "Rules with ",
            ("except NAME", "bold"),
            " leave out the days of a calendar.\nPress ",
            ("S", "bold $accent"),
            " to set one from a file (admins only),\nor type this in another terminal:\n\n",
            ("calvinverse calendar set nl holidays.ics", "$secondary"),
        )

    # --- acting ------------------------------------------------------------------------------------------------------

    def action_calendar_show(self) -> None:
        """Lists the days of the selected calendar."""
        calendar = self.chosen(action("calendar.show"), _NONE)
        if calendar is not None:
            self.shell.push_screen(DaysDialog(calendar.name))

    def on_row_table_opened(self) -> None:
        """A second click does it, too."""
        self.action_calendar_show()

    def action_calendar_set(self) -> None:
        """Asks for a name and a file."""
        if not self.refuses(action("calendar.set")):
            self.shell.push_screen(CalendarDialog(self.shell.clock))

    def action_calendar_remove(self) -> None:
        """Asks for confirmation; the service refuses it while a rule refers to the calendar."""
        calendar = self.chosen(action("calendar.remove"), _NONE)
        if calendar is None:
            return
        name = calendar.name
        self.shell.push_screen(
            ConfirmDialog(
                f"Remove the holiday calendar {name}",
                "Remove",
                f"The holiday calendar {name} with its {len(calendar.days)} days will be removed. The service refuses "
                "that while a rule refers to it.",
                lambda client: client.remove_calendar(name),
                f"The holiday calendar {name} is removed.",
            )
        )


def _day(holiday: Holiday) -> str:
    return f"{holiday.day} {clean(holiday.title)}".rstrip()
