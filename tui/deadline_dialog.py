"""The dialog that moves a deadline."""

from datetime import datetime
from typing import Literal

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Button, Input, Static

from environments.domain.deadline import check_deadline, later, parse_duration
from environments.domain.errors import CalvinverseError
from environments.moments import countdown, in_zone
from environments.wire.environments import EnvironmentView, ExtendRequest
from tui.clock import Clock
from tui.dialogs import Dialog
from tui.schema import read_lifetime


class DeadlineDialog(Dialog):
    """Moves the deadline by a duration, or to a moment; shows the result in the user's zone before it is sent."""

    def __init__(self, view: EnvironmentView, clock: Clock, mode: Literal["extend", "schedule"]) -> None:
        self._view = view
        self._clock = clock
        self._mode = mode
        if mode == "extend":
            super().__init__(f"Extend {view.name}", "Extend")
        else:
            super().__init__(f"Schedule the destruction of {view.name}", "Schedule")
        self._request: ExtendRequest | None = None

    def body(self) -> ComposeResult:
        """The present deadline, the input, and the result."""
        view, clock = self._view, self._clock
        present = clock.moment(view.deadline) if view.deadline else "none"
        latest = f", maximum {clock.moment(view.maximum_deadline)}" if view.maximum_deadline else ""
        yield Static(Content.assemble(("Expires: ", "$faint"), present, (latest, "$faint")), classes="paragraph")
        if self._mode == "extend":
            asks = "How much longer, such as 30m, 2h or 1d:"
        else:
            asks = f"After how long from now (2h, 3d), or when (2026-12-01T18:00, {clock.zone_name()}):"
        yield Static(asks, classes="paragraph", markup=False)
        yield Input("1h" if self._mode == "extend" else "", id="when", compact=True)
        yield Static(id="outcome", markup=False)

    def on_mount(self) -> None:
        """Shows the result of the first value."""
        super().on_mount()
        field = self.query_one("#when", Input)
        field.focus()
        self._preview(field.value)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Shows the result of what was typed."""
        self._preview(event.value)

    def _preview(self, text: str) -> None:
        view, clock = self._view, self._clock
        now = clock.now()
        outcome = self.query_one("#outcome", Static)
        self._request = None
        self.complain(None)
        if not text.strip():
            outcome.update("")
        else:
            try:
                request, deadline = self._read(text)
                maximum = view.maximum_deadline - view.created_at if view.maximum_deadline else None
                local = in_zone(deadline, clock.zone)
                created = in_zone(view.created_at, clock.zone)
                check_deadline(local, now=now, created=created, maximum=maximum)
            except CalvinverseError as error:
                outcome.update("")
                self.complain(error)
            else:
                self._request = request
                outcome.update(
                    Content.assemble(
                        ("It will be destroyed ", "$faint"),
                        (clock.moment(deadline), "bold"),
                        f", in {countdown(deadline - now)}, with everything that belongs to it.",
                    )
                )
        self.query_one("#go", Button).disabled = self._request is None

    def _read(self, text: str) -> tuple[ExtendRequest, datetime]:
        now = self._clock.now()
        if self._mode == "extend":
            # Sent as a moment: the result is what was shown, even if somebody else moves the deadline meanwhile.
            until = later(self._view.deadline or now, parse_duration(text))
            return ExtendRequest(until=until), until
        ttl, moment = read_lifetime(text, self._clock)
        if moment is not None:
            return ExtendRequest(until=moment), moment
        assert ttl is not None
        return ExtendRequest(ttl=ttl), later(now, parse_duration(ttl))

    def go(self) -> None:
        """Sends the request."""
        request, view = self._request, self._view
        if request is None:
            return

        verb = "lives longer" if self._mode == "extend" else "has a new deadline"
        self.send(lambda client: client.extend(view.id, request), f"{view.name} {verb}.")
