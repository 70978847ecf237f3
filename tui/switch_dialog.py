"""The dialog to stop an environment."""

from textual.app import ComposeResult
from textual.widgets import Static

from environments.domain.timing import TimedAction
from environments.wire.environments import EnvironmentView
from tui.clock import Clock
from tui.dialogs import Dialog


class StopDialog(Dialog):
    """Stops what an environment runs, after it has said what that means."""

    back = "Back (esc)"

    def __init__(self, view: EnvironmentView, clock: Clock) -> None:
        super().__init__(f"Stop {view.name}", "Stop it")
        self._view = view
        self._clock = clock

    def body(self) -> ComposeResult:
        """What will happen, and until when."""
        yield Static(
            f"The jobs of {self._view.name} will be stopped; its data is kept, and its deadline stays. {self._until()}",
            classes="paragraph",
            markup=False,
        )

    def on_mount(self) -> None:
        """Focuses the cautious button, so that Enter alone stops nothing."""
        super().on_mount()
        self.query_one("#cancel").focus()

    def go(self) -> None:
        """Sends the request."""
        view = self._view
        self.send(lambda client: client.stop(view.id), f"{view.name} will be stopped.")

    def _until(self) -> str:
        view = self._view
        if view.switch_at is not None and view.switch_action is TimedAction.START:
            return f"The calendar starts it at {self._clock.moment(view.switch_at)}, if nobody does before."
        return "It stays stopped until somebody or its calendar starts it."
