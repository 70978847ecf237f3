"""The dialogs that share an environment, and that end a share."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Button, Static

from environments.domain.access import EnvironmentRole
from environments.domain.deadline import later, parse_duration
from environments.domain.errors import CalvinverseError, InvalidLifetime
from environments.moments import countdown
from environments.wire.access import AccessView, ShareRequest, ShareView
from environments.wire.environments import EnvironmentView
from environments.words import clean
from tui.clock import Clock
from tui.dialogs import Dialog
from tui.fields import ChoiceField, FormField, SwitchField, TextField
from tui.schema import UNSET, read_lifetime

ROLES = {
    EnvironmentRole.VIEWER: "viewer: sees all but secrets",
    EnvironmentRole.PLANNER: "planner: also plans, observes",
    EnvironmentRole.OPERATOR: "operator: also changes it",
    EnvironmentRole.OWNER: "owner: everything",
}
LONGEST_SUBJECT = 1000


class ShareDialog(Dialog):
    """Asks with whom, in which role, and until when; says what follows before it is sent."""

    def __init__(self, view: EnvironmentView, clock: Clock) -> None:
        super().__init__(f"Share {view.name}", "Share")
        self._view = view
        self._clock = clock
        self._request: ShareRequest | None = None

    def body(self) -> ComposeResult:
        """The four fields, and what follows from them."""
        yield TextField("subject", "With whom", "a user name, a service account, group:NAME, or everyone")
        choices = [(text, role.value) for role, text in ROLES.items()]
        yield ChoiceField("role", "Role", choices, value=EnvironmentRole.VIEWER.value)
        yield SwitchField("reveal", "Reveals secrets", value=False)
        zone = self._clock.zone_name()
        yield TextField("until", "Until", f"8h, 7d, or 2026-12-01T18:00 ({zone}); empty: without an end")
        yield Static(id="outcome", markup=False)

    def on_mount(self) -> None:
        """Disables the button until it is said with whom."""
        super().on_mount()
        self.query_one("#go", Button).disabled = True
        self.query_one("#outcome").display = False
        self.field("subject").control().focus()

    def on_form_field_edited(self, event: FormField.Edited) -> None:
        """Reads all fields."""
        event.stop()
        self.complain(None)
        self._request = self._read()
        self.query_one("#go", Button).disabled = self._request is None
        outcome = self.query_one("#outcome", Static)
        outcome.display = self._request is not None
        if self._request is not None:
            outcome.update(self._follows(self._request))

    def _read(self) -> ShareRequest | None:
        """The request; None, with the error beside its field, while something is missing or wrong."""
        subject = str(self.field("subject").value).strip()
        too_long = len(subject) > LONGEST_SUBJECT
        self.field("subject").say("No name is that long." if too_long else "")
        try:
            ttl, until = read_lifetime(str(self.field("until").value), self._clock)
            if until is not None and until <= self._clock.now():
                raise InvalidLifetime(f"{self._clock.moment(until)} is over already.")
            if ttl is not None:
                later(self._clock.now(), parse_duration(ttl))
        except CalvinverseError as error:
            self.field("until").say(error.message)
            return None
        self.field("until").say("")
        role = self.field("role").value
        if not subject or too_long or role is UNSET:
            return None
        reveal = bool(self.field("reveal").value)
        return ShareRequest(subject=subject, role=EnvironmentRole(role), reveal=reveal, ttl=ttl, until=until)

    def _follows(self, request: ShareRequest) -> Content:
        now = self._clock.now()
        end = later(now, parse_duration(request.ttl)) if request.ttl is not None else request.until
        until = f" until {self._clock.moment(end)}, for {countdown(end - now)}" if end is not None else ""
        secrets = ", with its secrets" if request.reveal or request.role is EnvironmentRole.OWNER else ""
        who = clean(request.subject)
        return Content.assemble((who, "bold"), f" will be {request.role.value} of {self._view.name}{secrets}{until}.")

    def go(self) -> None:
        """Sends the request."""
        request, view = self._request, self._view
        if request is None:
            return

        def said(_: AccessView) -> str:
            self.shell.live.touch(view.id)
            return f"{view.name} is shared with {request.subject} as {request.role.value}."

        self.send(lambda client: client.share(view.id, request), said)


class UnshareDialog(Dialog):
    """Asks which share ends; somebody who doesn't own the environment can end their own."""

    def __init__(self, view: EnvironmentView, me: str) -> None:
        """`me`: the user name of the caller."""
        super().__init__(f"Stop sharing {view.name}", "End the share")
        self._view = view
        self._me = me
        self._shares: Sequence[ShareView] = ()

    def body(self) -> ComposeResult:
        """The choice, once the service has answered."""
        yield Static("Asking the service…", id="shares", classes="paragraph", markup=False)
        yield Vertical(id="asked")
        yield Static(id="outcome", markup=False)

    def on_mount(self) -> None:
        """Asks with whom it is shared."""
        super().on_mount()
        self.query_one("#go", Button).disabled = True
        self.query_one("#cancel", Button).focus()
        client, view = self.shell.client, self._view

        def failed(error: CalvinverseError) -> None:
            self.query_one("#shares").display = False
            self.complain(error)

        self.ask(lambda: client().access(view.id), self._found, failed)

    def _found(self, access: AccessView) -> None:
        owns = self._view.role is None or "share" in self._view.may
        self._shares = [share for share in access.shares if owns or share.subject == self._me]
        word = self.query_one("#shares", Static)
        if self._shares:
            word.update("It ends at once; nothing else changes.")
            self.call_later(self._build)
        elif owns:
            word.update(f"{self._view.name} is shared with nobody.")
        else:
            word.update(
                f"{self._view.name} isn't shared with you yourself. {' '.join(map(clean, access.reasons))}\n"
                f"Ask {clean(self._view.owner)}, who can end it."
            )

    async def _build(self) -> None:
        choices = [(f"{clean(share.subject)}, {share.role.value}", share.subject) for share in self._shares]
        only = choices[0][1] if len(choices) == 1 else UNSET
        field = ChoiceField("subject", "With whom", choices, value=only)
        await self.query_one("#asked").mount(field)
        field.control().focus()
        self._choose()

    def on_form_field_edited(self, event: FormField.Edited) -> None:
        """Says what follows."""
        event.stop()
        self.complain(None)
        self._choose()

    def _subject(self) -> str | None:
        return next((field.value for field in self.query(ChoiceField) if field.value is not UNSET), None)

    def _choose(self) -> None:
        subject = self._subject()
        self.query_one("#go", Button).disabled = subject is None
        if subject is not None:
            more = " You may not see it any more then." if subject == self._me else ""
            loses = f"{clean(subject)} loses the role on {self._view.name}.{more}"
            self.query_one("#outcome", Static).update(loses)

    def go(self) -> None:
        """Sends the request."""
        subject, view = self._subject(), self._view
        if subject is None:
            return

        def said(answer: AccessView | None) -> str:
            self.shell.live.touch(view.id)
            if answer is None:
                return f"You don't see {view.name} any more."
            return f"{view.name} is no longer shared with {subject}."

        self.send(lambda client: client.unshare(view.id, subject), said)
