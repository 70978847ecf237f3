"""The dialogs that decide about a hold."""

from textual.app import ComposeResult
from textual.widgets import Button, Input, Static

from environments.domain.deadline import later, parse_duration
from environments.domain.errors import CalvinverseError
from environments.domain.holds import HoldKind
from environments.wire.holds import CancelHoldRequest, HoldView, ReleaseHoldRequest
from environments.words import clean
from tui.clock import Clock
from tui.dialogs import Dialog, ReasonedDialog

KEPT_FOR = "24h"
"""How long what a hold holds is kept, unless one says otherwise."""


class ReleaseDialog(ReasonedDialog):
    """Releases a hold after a reason and its id were typed: what it holds is destroyed."""

    def __init__(self, hold: HoldView) -> None:
        super().__init__(f"Release {hold.id}", "Release", hold.id)
        self._hold = hold

    def body(self) -> ComposeResult:
        """What will be destroyed."""
        hold = self._hold
        follows = (
            "will be judged again as if the clocks agreed, and be destroyed unless something else is wrong"
            if hold.kind is HoldKind.CLOCK
            else "will be destroyed, in the order of their deadlines"
        )
        yield Static(f"{counted(hold)} {follows}.", classes="paragraph", markup=False)
        yield Static(names(hold), classes="paragraph", markup=False)
        yield from self.asks()

    def confirmed(self, reason: str) -> None:
        """Sends the request."""
        hold = self._hold
        request = ReleaseHoldRequest(reason=reason, environments=hold.environments)
        self.send(lambda client: client.release_hold(hold.id, request), f"{hold.id} is released.")


class CancelHoldDialog(Dialog):
    """Cancels the destroys that a hold holds: its environments are pinned for a while."""

    back = "Back (esc)"

    def __init__(self, hold: HoldView, clock: Clock) -> None:
        super().__init__(f"Cancel what {hold.id} holds", "Keep them")
        self._hold = hold
        self._clock = clock
        self._request: CancelHoldRequest | None = None

    def body(self) -> ComposeResult:
        """What is kept, why, and for how long."""
        yield Static(
            f"{counted(self._hold)} won't be destroyed, but pinned, also past a maximum; later deadlines stay.",
            classes="paragraph",
            markup=False,
        )
        yield Static(names(self._hold), classes="paragraph", markup=False)
        yield Static("For how long from now, such as 24h or 3d:", markup=False)
        yield Input(KEPT_FOR, id="when", compact=True)
        yield Static("Why, for the history:", markup=False)
        yield Input(id="reason", compact=True, max_length=1000)
        yield Static(id="outcome", markup=False)

    def on_mount(self) -> None:
        """Focuses the reason: the duration has a value."""
        super().on_mount()
        self.query_one("#reason").focus()
        self._read()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Reads both."""
        event.stop()
        self._read()

    def _read(self) -> None:
        when, reason = (self.query_one(name, Input).value.strip() for name in ("#when", "#reason"))
        outcome = self.query_one("#outcome", Static)
        self._request = None
        self.complain(None)
        try:
            until = later(self._clock.now(), parse_duration(when))
        except CalvinverseError as error:
            outcome.update("")
            self.complain(error)
        else:
            outcome.update(f"They stay at least until {self._clock.moment(until)}.{'' if reason else ' Say why, too.'}")
            self._request = CancelHoldRequest(reason=reason, keep_for=when) if reason else None
        self.query_one("#go", Button).disabled = self._request is None

    def go(self) -> None:
        """Sends the request."""
        hold, request = self._hold, self._request
        if request is not None:
            self.send(
                lambda client: client.cancel_hold(hold.id, request),
                f"{hold.id} is cancelled: {counted(hold)} will be kept.",
            )


def counted(hold: HoldView) -> str:
    """How many environments it holds: `12 environments`."""
    return f"{hold.environments} environment{'' if hold.environments == 1 else 's'}"


def names(hold: HoldView) -> str:
    """The names of those that the caller may see."""
    more = hold.environments - len(hold.names)
    return f"{', '.join(map(clean, hold.names))}{f' and {more} more' if more > 0 and hold.names else ''}"
