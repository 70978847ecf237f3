"""The dialog that gives an environment a rule of its own."""

from textual.app import ComposeResult
from textual.widgets import Button, Static

from environments.domain.calendar_rule import parse_rule
from environments.domain.errors import CalvinverseError
from environments.domain.timing import TimedAction
from environments.timing_words import WHAT
from environments.wire.environments import EnvironmentView
from environments.wire.timing import RuleRequest
from tui.clock import Clock
from tui.dialogs import Dialog
from tui.fields import ChoiceField, FormField, TextField

RULED = (TimedAction.DESTROY, TimedAction.STOP, TimedAction.START)
"""What a rule of an environment may do."""


class RuleDialog(Dialog):
    """Asks what happens, and when: minute, hour, day of the month, month, day of the week, and the zone."""

    def __init__(self, view: EnvironmentView, clock: Clock) -> None:
        super().__init__(f"Add a rule to {view.name}", "Add")
        self._view = view
        self._clock = clock
        self._request: RuleRequest | None = None

    def body(self) -> ComposeResult:
        """The two fields."""
        zone = self._clock.zone_name()
        yield Static(
            "Its moments count from now on, beside those of its template and of policies. The earliest one destroys "
            "it; its maximum holds.",
            classes="paragraph",
            markup=False,
        )
        yield ChoiceField(
            "action", "What happens", [(f"it {WHAT[one]}", one.value) for one in RULED], value=TimedAction.DESTROY.value
        )
        yield TextField(
            "rule",
            "Rule",
            f"minute, hour, day of month, month, day of week, zone: 0 19 * * 1-5 {zone}; `except NAME` leaves out the "
            "days of a holiday calendar",
            placeholder=f"0 19 * * 1-5 {zone}",
        )

    def on_mount(self) -> None:
        """Disables the button until there is a rule."""
        super().on_mount()
        self.query_one("#go", Button).disabled = True
        self.field("rule").control().focus()

    def on_form_field_edited(self, event: FormField.Edited) -> None:
        """Reads both."""
        event.stop()
        self.complain(None)
        self._request = None
        field = self.field("rule")
        typed = str(field.value).strip()
        problem = ""
        if typed:
            try:
                rule = parse_rule(typed)
            except CalvinverseError as error:
                problem = error.message
            else:
                self._request = RuleRequest(action=TimedAction(self.field("action").value), rule=str(rule))
        field.say(problem)
        self.query_one("#go", Button).disabled = self._request is None

    def go(self) -> None:
        """Sends the request."""
        request, view = self._request, self._view
        if request is not None:
            self.send(lambda client: client.add_rule(view.id, request), self._said)

    def _said(self, view: EnvironmentView) -> str:
        """What follows from it."""
        if self._request is not None and self._request.action is not TimedAction.DESTROY:
            if (coming := view.coming_switch()) is not None:
                what, at = coming
                return f"{view.name} has the rule. Next, it {WHAT[what]} {self._clock.moment(at)}."
            if view.deadline is not None and view.switch_at is not None and view.switch_at > view.deadline:
                return f"{view.name} has the rule. It expires before, {self._clock.moment(view.deadline)}."
        elif view.deadline is not None:
            return f"{view.name} has the rule. It expires {self._clock.moment(view.deadline)}."
        return f"{view.name} has the rule."
