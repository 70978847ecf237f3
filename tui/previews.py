"""The previews: environments of pull requests, what becomes of them, and what keeps them from being as they should."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content

from environments.actions.action import Place
from environments.actions.registry import action
from environments.client import Client
from environments.domain.lifecycle import ENDED
from environments.domain.preview import Wanted
from environments.moments import countdown
from environments.wire.previews import PreviewView
from environments.words import STATES, WARNING, one_line
from tui.keys import bindings
from tui.rows import Column
from tui.things import Cell, ThingsScreen, keys_text

_COMMIT = 10
"""Characters of a commit that are shown."""


class PreviewsScreen(ThingsScreen[PreviewView]):
    """Lists the previews that live, and on request those that have ended."""

    PLACE = Place.PREVIEWS
    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.PREVIEWS)
    FOLLOWS = True
    COLUMNS = (
        Column("pull", "Pull request", 28),
        Column("environment", "Environment", 0),
        Column("state", "State", 16),
        Column("until", "Until", 9),
        Column("fault", "Fault", 36, needs=110),
    )

    def __init__(self) -> None:
        super().__init__()
        self._ended = False

    def load(self, client: Client) -> Sequence[PreviewView]:
        """Those of the environments that the caller sees."""
        return client.previews(ended=self._ended)

    def heading(self) -> Content:
        """How many there are, and how many have a fault."""
        things = self.things or ()
        count = f" — {len(things)}" if things else ""
        ended = " with those that have ended" if self._ended else ""
        faults = sum(bool(one.fault) for one in things)
        with_fault = (f", {faults} with a fault" if faults else "", "$error")
        return Content.assemble((f"Previews{ended}{count}", "bold $accent"), with_fault)

    def key_of(self, thing: PreviewView) -> str:
        """Its id."""
        return thing.id

    def cells(self, thing: PreviewView) -> Sequence[Cell]:
        """The pull request, its environment and the state, until when, and what keeps it from being as it should."""
        left = thing.end_at - self.shell.clock.now() if thing.end_at is not None else None
        until = "" if left is None else countdown(left) if left.total_seconds() > 0 else "due"
        return (
            (one_line(_pull(thing)), "plain"),
            (one_line(thing.environment), "plain"),
            _state(thing),
            (until if thing.ended_at is None else "", "plain"),
            (one_line(thing.fault), "bad"),
        )

    def in_full(self, thing: PreviewView) -> Content:
        """Why it is as it is, until when, and when its forge was asked."""
        moment = self.shell.clock.moment
        by = f", by the trigger {one_line(thing.trigger)}" if thing.trigger else ", whose trigger is gone"
        commit = f", at {one_line(thing.commit[:_COMMIT])}" if thing.commit else ""
        told = f"  told by {one_line(thing.webhook)}{by}{commit}"
        lines = [Content.assemble((one_line(_pull(thing)), "bold"), (told, "$faint"))]
        if thing.fault:
            lines.append(Content.assemble((f"✗ {one_line(thing.fault)}", "$error")))
        if thing.because:
            lines.append(Content(one_line(thing.because)))
        if thing.ended_at is not None:
            lines.append(Content(f"It ended {moment(thing.ended_at)}."))
        elif thing.end_at is not None:
            lines.append(Content.assemble("It will be destroyed ", (moment(thing.end_at), "bold"), "."))
        asked = f"The forge was asked {moment(thing.looked_at)}. " if thing.looked_at is not None else ""
        again = f"It is asked again {moment(thing.look_at)}." if thing.look_at is not None else ""
        if asked or again:
            lines.append(Content.assemble((f"{asked}{again}".rstrip(), "$faint")))
        return Content("\n").join(lines)

    def none_yet(self) -> Content:
        """What makes them."""
        return Content.assemble(
            ("There are no previews.\n\n", "bold"),
            "A trigger with the action preview makes an environment of each\n"
            "pull request, and destroys it when that is closed. Write one, and\n\n",
            ("calvinverse trigger set FILE", "$secondary"),
            "\n\n",
            "" if self._ended else keys_text("x", " shows those that have ended in the last 30 days."),
        )

    # --- acting ------------------------------------------------------------------------------------------------------

    def action_environment_show(self) -> None:
        """Opens the environment of the selected one."""
        preview = self.chosen(action("environment.show"), "No preview is selected.")
        if preview is None:
            return
        living = (view for view in self.shell.living() if view.name == preview.environment)
        view = next(living, None)
        if view is None or preview.ended_at is not None:
            self.shell.say(f"{_pull(preview)} has no environment now.", severity="warning")
        else:
            self.shell.open_detail(view)

    def action_view_ended(self) -> None:
        """Shows or hides previews that have ended."""
        self._ended = not self._ended
        self.shell.say("Previews that have ended are shown." if self._ended else "Previews that have ended are hidden.")
        self.reload()


def _pull(preview: PreviewView) -> str:
    return f"{preview.repository}#{preview.number}"


def _state(preview: PreviewView) -> Cell:
    if preview.ended_at is not None:
        return "○ ended", "gone"
    if preview.state is None or preview.state in ENDED:
        cell: Cell = ("◌ not yet", "busy") if preview.wanted is Wanted.ALIVE else ("○ gone", "gone")
    else:
        sign = STATES[preview.state]
        cell = sign.narrow, sign.mood
    return (f"{WARNING}{cell[0][1:]}", "bad") if preview.fault else cell
