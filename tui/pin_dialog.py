"""The dialog that pins an environment."""

from textual.app import ComposeResult
from textual.widgets import Button, Input, Static

from environments.domain.errors import CalvinverseError
from environments.wire.environments import EnvironmentView
from environments.wire.timing import PinRequest
from tui.clock import Clock
from tui.dialogs import Dialog
from tui.schema import read_lifetime


class PinDialog(Dialog):
    """Keeps an environment for a duration, or until a moment, for a reason."""

    def __init__(self, view: EnvironmentView, clock: Clock) -> None:
        super().__init__(f"Pin {view.name}", "Pin")
        self._view = view
        self._clock = clock
        self._request: PinRequest | None = None

    def body(self) -> ComposeResult:
        """What a pin does, how long, and why."""
        yield Static(
            "Until then no rule and no lifetime ends it. A person can still destroy it.",
            classes="paragraph",
            markup=False,
        )
        zone = self._clock.zone_name()
        yield Static(f"For how long from now (2h, 3d), or until when (2026-12-01T18:00, {zone}):", markup=False)
        yield Input(id="when", compact=True)
        yield Static("Why it has to stay:", markup=False)
        yield Input(id="reason", compact=True, max_length=1000)

    def on_mount(self) -> None:
        """Disables the button until both are given."""
        super().on_mount()
        self.query_one("#go", Button).disabled = True
        self.query_one("#when").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Reads both."""
        event.stop()
        when, reason = (self.query_one(name, Input).value.strip() for name in ("#when", "#reason"))
        self._request = None
        self.complain(None)
        if when:
            try:
                ttl, moment = read_lifetime(when, self._clock)
            except CalvinverseError as error:
                self.complain(error)
            else:
                self._request = PinRequest(reason=reason, ttl=ttl, until=moment) if reason else None
        self.query_one("#go", Button).disabled = self._request is None

    def go(self) -> None:
        """Sends the request."""
        request, view = self._request, self._view
        if request is not None:
            self.send(lambda client: client.pin(view.id, request), f"{view.name} is pinned.")
