"""The dialog that sends a test warning by each channel."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Button, Static

from environments.domain.errors import CalvinverseError
from environments.wire.warnings import TestDeliveryView
from environments.words import clean
from tui.dialogs import Dialog


class ChannelTestDialog(Dialog):
    """Says what will be sent, sends it, and shows what became of it."""

    cautious = True
    back = "Back (esc)"

    def __init__(self, channels: Sequence[str]) -> None:
        super().__init__("Test the channels of warnings", "Send")
        self._channels = channels
        self._sending = False

    def body(self) -> ComposeResult:
        """What will be sent, and then what became of it."""
        by = ", ".join(map(clean, self._channels)) or "each channel"
        yield Static(
            f"A test warning will be sent by {by}. By e-mail, it goes to those whom the channels' file names in `to`.",
            classes="paragraph",
            markup=False,
        )
        yield Static(id="outcome", markup=False)

    def on_mount(self) -> None:
        """Hides the outcome."""
        super().on_mount()
        self.query_one("#outcome").display = False

    def go(self) -> None:
        """Sends it once."""
        if self._sending:
            return
        self._sending = True
        button, outcome = self.query_one("#go", Button), self.query_one("#outcome", Static)
        button.label = "Sending…"
        outcome.display = True
        outcome.update("Sending; a channel that doesn't answer takes until its time limit.")
        self.complain(None)

        def done(found: list[TestDeliveryView]) -> None:
            self._sending = False
            button.label = "Send again"
            outcome.update(outcomes(found))

        def failed(error: CalvinverseError) -> None:
            self._sending = False
            button.label = self.verb
            outcome.display = False
            self.complain(error)

        client = self.shell.client
        self.ask(lambda: client().test_warnings(), done, failed)


def outcomes(found: Sequence[TestDeliveryView]) -> Content:
    """A line for each test warning."""
    if not found:
        return Content("No channel is configured: warnings are events alone.")
    lines = []
    for one in found:
        to = f" to {clean(one.recipient)}" if one.recipient else ""
        told = (f": ✗ {clean(one.fault)}", "$error") if one.fault else (": ✓ delivered", "$success")
        lines.append(Content.assemble(f"{clean(one.channel)}{to}", told))
    if any(one.fault for one in found):
        lines.append(Content("Correct the file of channels, or what they lead to; then send again."))
    return Content("\n").join(lines)
