"""The dialog that pins an environment."""

from datetime import datetime

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Button, Checkbox, Input, Static

from environments.domain.deadline import check_deadline, later, parse_duration
from environments.domain.errors import CalvinverseError, InvalidLifetime
from environments.moments import countdown
from environments.wire.environments import EnvironmentView
from environments.wire.timing import PinRequest
from tui import sections
from tui.clock import Clock
from tui.dialogs import Dialog
from tui.schema import read_lifetime


class PinDialog(Dialog):
    """Keeps an environment for a duration, or until a moment, for a reason; past its maximum for admins."""

    def __init__(self, view: EnvironmentView, clock: Clock, role: str) -> None:
        """`role` of the caller: `admin`, `user`, or empty where it isn't known."""
        super().__init__(f"Pin {view.name}", "Pin")
        self._view = view
        self._clock = clock
        self._role = role
        self._request: PinRequest | None = None

    def body(self) -> ComposeResult:
        """What a pin does, how long, and why."""
        view, clock = self._view, self._clock
        for line in sections.pin(view, clock):
            yield Static(Content.assemble(*line, "; a new pin replaces this one"), classes="paragraph")
        yield Static(
            "Until then no rule and no lifetime ends it. A person can still destroy it.",
            classes="paragraph",
            markup=False,
        )
        zone = clock.zone_name()
        yield Static(f"For how long from now (2h, 3d), or until when (2026-12-01T18:00, {zone}):", markup=False)
        yield Input(id="when", compact=True)
        yield Static("Why it has to stay:", markup=False)
        yield Input(id="reason", compact=True, max_length=1000)
        if view.maximum_deadline is not None:
            maximum = f"past its maximum, {clock.moment(view.maximum_deadline)}"
            admins = " (only admins may)" if self._role != "admin" else ""
            yield Checkbox(Content(f"{maximum}{admins}"), id="past", compact=True, disabled=self._role == "user")
        yield Static(id="outcome", markup=False)

    def on_mount(self) -> None:
        """Disables the button until both are given."""
        super().on_mount()
        self.query_one("#go", Button).disabled = True
        self.query_one("#outcome").display = False
        self.query_one("#when").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Reads what was typed."""
        event.stop()
        self._read()

    def on_checkbox_changed(self, event: Checkbox.Changed) -> None:
        """Reads again: another maximum holds."""
        event.stop()
        self._read()

    def _read(self) -> None:
        when, reason = (self.query_one(name, Input).value.strip() for name in ("#when", "#reason"))
        past = any(box.value for box in self.query(Checkbox))
        self._request = None
        self.complain(None)
        end = None
        if when:
            try:
                ttl, moment = read_lifetime(when, self._clock)
                end = moment if moment is not None else later(self._clock.now(), parse_duration(ttl or ""))
                self._check(end, past)
            except CalvinverseError as error:
                end = None
                self.complain(error)
            else:
                request = PinRequest(reason=reason, ttl=ttl, until=moment, past_maximum=past) if reason else None
                self._request = request
        self._show(end, reason)
        self.query_one("#go", Button).disabled = self._request is None

    def _check(self, end: datetime, past: bool) -> None:
        view, clock = self._view, self._clock
        latest = view.maximum_deadline
        if latest is not None and end > latest and not past:
            remedy = "only an admin can pin past it" if self._role == "user" else "or tick “past its maximum”"
            raise InvalidLifetime(
                f"{clock.moment(end)} is past its maximum, {clock.moment(latest)}.", hint=f"Give less; {remedy}."
            )
        check_deadline(end, now=clock.now(), created=view.created_at, maximum=None)

    def _show(self, end: datetime | None, reason: str) -> None:
        outcome = self.query_one("#outcome", Static)
        outcome.display = end is not None
        if end is not None:
            more = "" if reason else " Say why, too."
            in_time = countdown(end - self._clock.now())
            outcome.update(f"It stays until {self._clock.moment(end)}, for {in_time}.{more}")

    def go(self) -> None:
        """Sends the request."""
        request, view = self._request, self._view
        if request is not None:
            self.send(lambda client: client.pin(view.id, request), f"{view.name} is pinned.")
