"""The holds: environments that the clock would destroy, and that wait for an admin's decision."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content

from environments.actions.action import Action, Place
from environments.actions.registry import action
from environments.client import Client
from environments.domain.holds import HoldDecision
from environments.moments import coarse
from environments.wire.holds import HoldView
from environments.words import WARNING, Mood, clean
from tui.hold_dialogs import CancelHoldDialog, ReleaseDialog
from tui.keys import bindings
from tui.rows import Column
from tui.things import Cell, ThingsScreen

_MOODS: dict[HoldDecision, Mood] = {
    HoldDecision.RELEASED: "bad",
    HoldDecision.CANCELLED: "good",
    HoldDecision.ENDED: "gone",
}


class HoldsScreen(ThingsScreen[HoldView]):
    """Lists the open holds, and on request those that have ended; admins release and cancel them."""

    PLACE = Place.HOLDS
    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.HOLDS)
    COLUMNS = (
        Column("id", "Hold", 20),
        Column("state", "State", 11),
        Column("age", "Opened", 10),
        Column("count", "Holds", 5),
        Column("reason", "Because", 0),
    )

    def __init__(self) -> None:
        super().__init__()
        self._ended = False

    def load(self, client: Client) -> Sequence[HoldView]:
        """The open ones; with those that have ended if they are wanted."""
        return client.holds(ended=self._ended)

    def heading(self) -> Content:
        """How many there are."""
        count = f" — {len(self.things)}" if self.things else ""
        ended = " with those that have ended" if self._ended else ""
        return Content.assemble((f"Holds{ended}{count}", "bold $accent"))

    def key_of(self, thing: HoldView) -> str:
        """Its id."""
        return thing.id

    def cells(self, thing: HoldView) -> Sequence[Cell]:
        """Its id, whether it is open, since when, how many it holds, and why."""
        decided = thing.decision
        state: Cell = (f"{WARNING} open", "warn") if decided is None else (f"○ {decided.value}", _MOODS[decided])
        return (
            (thing.id, "plain"),
            state,
            (f"{coarse(self.shell.clock.now() - thing.opened_at)} ago", "gone"),
            (str(thing.environments) if decided is None else "", "plain"),
            (clean(thing.reason).replace("\n", " "), "plain"),
        )

    def in_full(self, thing: HoldView) -> Content:
        """Why it is there, what it holds, and who decided, or what one can do."""
        lines = [Content(clean(thing.reason))]
        if thing.decision is not None:
            by = f" by {clean(thing.decided_by)}" if thing.decided_by else ""
            at = f" {self.shell.clock.moment(thing.decided_at)}" if thing.decided_at is not None else ""
            lines.append(Content(f"{thing.decision.value}{by}{at}: {clean(thing.decision_reason)}".rstrip(": ")))
            return Content("\n").join(lines)
        if thing.names:
            more = thing.environments - len(thing.names)
            others = f" and {more} more" if more > 0 else ""
            lines.append(Content.assemble(("holds ", "$faint"), f"{', '.join(map(clean, thing.names))}{others}"))
        lines.append(Content.assemble(("R destroys what it holds, X keeps it; only admins decide.", "$faint")))
        return Content("\n").join(lines)

    def none_yet(self) -> Content:
        """That nothing waits, and what a hold is."""
        return Content.assemble(
            ("No destroy by the clock is held.\n\n", "bold"),
            "The clock holds destroys that look wrong, such as too many at once\nwithout a warning, until an admin "
            "decides.\n",
            ("x", "bold $accent"),
            " shows the holds that have ended, and so does\n\n",
            ("calvinverse hold list --ended", "$secondary"),
        )

    # --- acting ------------------------------------------------------------------------------------------------------

    def action_hold_release(self) -> None:
        """Asks for a reason and the hold's id."""
        hold = self._open_one(action("hold.release"))
        if hold is not None:
            self.shell.push_screen(ReleaseDialog(hold))

    def action_hold_cancel(self) -> None:
        """Asks for a reason, and for how long."""
        hold = self._open_one(action("hold.cancel"))
        if hold is not None:
            self.shell.push_screen(CancelHoldDialog(hold, self.shell.clock))

    def _open_one(self, act: Action) -> HoldView | None:
        hold = self.chosen(act, "No hold is selected.")
        if hold is None or hold.decision is None:
            return hold
        self.shell.say(f"{hold.id} has ended already.", severity="warning")
        return None

    def action_view_ended(self) -> None:
        """Shows or hides holds that have ended."""
        self._ended = not self._ended
        self.shell.say("Holds that have ended are shown." if self._ended else "Holds that have ended are hidden.")
        self.reload()
