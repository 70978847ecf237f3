"""The dialog that shows the timeline of an environment: what happened, what the calendar will do, and why."""

from datetime import UTC

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Button, Static

from environments.domain.timing import TimedAction
from environments.moments import countdown
from environments.timing_words import (
    HAPPENED,
    WHAT,
    happened_because,
    held,
    on_behalf_of,
    reason_of_attempt,
    why_not,
)
from environments.wire.environments import EnvironmentView, ExplanationView
from environments.words import clean
from tui.clock import Clock
from tui.dialogs import Dialog

MOST = 10
"""Moments that are shown, and likewise of the past."""


class ExplainDialog(Dialog):
    """Lists what happened and the next moments, in the reader's zone and in UTC. It changes nothing."""

    back = "Back (esc)"

    def __init__(self, view: EnvironmentView, clock: Clock) -> None:
        super().__init__(f"Timeline of {view.name}", "Reload")
        self._view = view
        self._clock = clock

    def body(self) -> ComposeResult:
        """The list, once the service has answered."""
        yield Static("Asking the service…", id="moments", markup=False)

    def on_mount(self) -> None:
        """Focuses the button that closes it, and asks."""
        super().on_mount()
        self.query_one("#cancel", Button).focus()
        self.go()

    def go(self) -> None:
        """Asks the service."""

        def done(found: ExplanationView) -> None:
            self.complain(None)
            self.query_one("#moments", Static).update(moments(found, self._clock))

        client, id_of = self.shell.client, self._view.id
        self.ask(lambda: client().explain(id_of, MOST, why_not=True, past=MOST), done, self.complain)


def moments(found: ExplanationView, clock: Clock) -> Content:
    """Two lines for each moment, the past first: what happens when, and why; then what doesn't happen, and why not."""
    lines = []
    for past in reversed(found.past):
        state = "" if past.state is None else f", {past.state.value}"
        lines.append(
            Content.assemble(
                (clock.moment(past.at), "bold"),
                (f" ({past.at.astimezone(UTC):%d %b %H:%M} UTC)  ", "$faint"),
                f"{HAPPENED[past.action]}{state}",
            )
        )
        by = on_behalf_of(past.by, past.because)
        why = happened_because(past.action, past.because, past.reason)
        lines.append(Content.assemble((f"  by {clean(by)}: " if by else "  ", "$faint"), clean(why)))
    if found.past:
        lines.append(Content.assemble((f"── {clock.moment(clock.now())}, now ──", "bold")))
    if found.pin is not None:
        pin = found.pin
        lines.append(Content(clean(f"{pin.by} pinned it until {clock.moment(pin.end)}: {pin.reason}")))
    if found.held is not None:
        lines.append(Content(clean(held(found.held.hold, found.held.kind))))
    if not found.moments:
        lines.append(Content("Nothing: it lives until somebody destroys it."))
    for due in found.moments:
        remains = due.at - clock.now()
        when = f", in {countdown(remains)}" if remains.total_seconds() > 0 else ", due now"
        lines.append(
            Content.assemble(
                (clock.moment(due.at), "bold"),
                (f" ({due.at.astimezone(UTC):%d %b %H:%M} UTC{when})  ", "$faint"),
                (_what(due.action), "$warning" if due.action is TimedAction.DESTROY else ""),
            )
        )
        lines.append(Content.assemble(("  because ", "$faint"), clean(reason_of_attempt(due.because, due.attempt))))
    if found.left_out:
        lines.append(Content("\nWhat does not happen:"))
    for left in found.left_out:
        lines.append(Content.assemble((clock.moment(left.at), "bold"), f"  {_what(left.action)}"))
        lines.append(Content.assemble(("  not, because ", "$faint"), clean(why_not(left.prevented, clock.moment))))
    return Content("\n").join(lines)


def _what(action: TimedAction) -> str:
    return WHAT[action] if action is TimedAction.WARN else f"it {WHAT[action]}"
