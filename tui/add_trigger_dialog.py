"""The dialog that sets a trigger on an environment."""

from collections.abc import Callable
from typing import Any

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Button, Static

from environments.domain.errors import InvalidInput
from environments.domain.received_event import GIT, KINDS, Source
from environments.domain.trigger import Trigger, TriggerAction
from environments.domain.trigger_file import condition_of, read_trigger
from environments.domain.trigger_rules import MAKES, Place
from environments.wire.environments import EnvironmentView
from environments.words import clean
from tui.dialogs import Dialog
from tui.fields import ChoiceField, FormField, TextField
from tui.schema import UNSET

_DOES = tuple(action for action in TriggerAction if action not in MAKES)
"""What a trigger on an environment may do."""

_HOOKED = GIT | {Source.WEBHOOK}
_ONLY_FOR: dict[str, Callable[[Any, Any], bool]] = {
    "webhook": lambda on, does: on in _HOOKED,
    "repository": lambda on, does: on in GIT,
    "for": lambda on, does: on is Source.IDLE,
    "cpu": lambda on, does: on is Source.IDLE,
    "bytes": lambda on, does: on is Source.IDLE,
    "over": lambda on, does: on is Source.COST,
    "by": lambda on, does: does is TriggerAction.EXTEND,
    "message": lambda on, does: does is TriggerAction.NOTIFY,
}
"""Fields that only some sources or actions read."""


class AddTriggerDialog(Dialog):
    """Asks what has to happen, and what is done then; says what is wrong before anything is sent."""

    def __init__(self, view: EnvironmentView) -> None:
        super().__init__(f"Add a trigger to {view.name}", "Add")
        self._view = view
        self._trigger: Trigger | None = None

    def body(self) -> ComposeResult:
        """The fields; those that the source or the action doesn't read are hidden."""
        yield TextField("name", "Name", placeholder="done", required=True)
        yield ChoiceField("on", "On", [(one.value, one) for one in Source], value=UNSET, required=True)
        yield TextField("kinds", "Kinds")
        yield TextField("webhook", "Webhook", "the name of the one that tells of it", required=True)
        yield TextField("repository", "Repository", "such as acme/shop", required=True)
        yield TextField("for", "Idle for", "such as 2h", required=True)
        yield TextField("cpu", "Below MHz", "processor time of its jobs")
        yield TextField("bytes", "Below bytes", "a minute, to and from its jobs")
        yield TextField("over", "Budget", required=True)
        yield TextField("when", "Only if", "FIELD=VALUE, also != ^= (begins with) ~= (* is anything); a `;` divides")
        yield ChoiceField("does", "Then", [(one.value, one) for one in _DOES], value=UNSET, required=True)
        yield TextField("by", "By", "how much longer, such as 2h", required=True)
        yield TextField("message", "Message", required=True)
        yield Static(id="outcome", markup=False)

    def on_mount(self) -> None:
        """Focuses the name."""
        super().on_mount()
        self.field("name").control().focus()
        self._read()

    def _typed(self, key: str) -> str:
        field = self.field(key)
        return str(field.value).strip() if field.display else ""

    def on_form_field_edited(self, event: FormField.Edited) -> None:
        """Reads them all."""
        event.stop()
        self.complain(None)
        self._read()

    def _read(self) -> None:
        on, does = self.field("on").value, self.field("does").value
        for key, wanted in _ONLY_FOR.items():
            self.field(key).display = wanted(on, does)
        for field in self.query(FormField):
            field.say("")
        if isinstance(on, Source):
            self.field("kinds").explain(Content(f"{', '.join(sorted(KINDS[on]))}; empty: all of them"))
        self._trigger, missing = None, ["choose what has to happen, and what is done then"]
        if isinstance(on, Source) and isinstance(does, TriggerAction):
            self._trigger, missing = self._judged(on, does)
        outcome = self.query_one("#outcome", Static)
        trigger, name = self._trigger, self._view.name
        if missing:
            outcome.update(Content.assemble((f"Still to do: {clean('; '.join(missing))}.", "$faint")))
        elif trigger is not None:
            kinds = f" {' or '.join(trigger.kinds)}" if trigger.kinds else ""
            if_so = " and the conditions hold" if trigger.when else ""
            outcome.update(f"On {trigger.on.value}{kinds}, if it is about {name}{if_so}: {_will(trigger, name)}.")
        else:
            outcome.update("")
        self.query_one("#go", Button).disabled = trigger is None

    def _judged(self, on: Source, does: TriggerAction) -> tuple[Trigger | None, list[str]]:
        """The trigger, or None and what is still missing; what is wrong stands below its field."""
        given: dict[str, Any] = {key: self._typed(key) for key in ("name", *_ONLY_FOR)}
        definition = {key: value for key, value in given.items() if value} | {
            "name": given["name"],
            "on": on.value,
            "action": does.value,
            "kinds": [kind for part in self._typed("kinds").split(",") if (kind := part.strip())],
        }
        good = True
        try:
            written = (part.strip() for part in self._typed("when").split(";"))
            definition["when"] = dict(condition_of(part) for part in written if part)
        except InvalidInput as error:
            self.field("when").say(f"{error.message} {error.hint}")
            good = False
        trigger, faults = read_trigger(definition, Place.ENVIRONMENT)
        typed = {field.key: field for field in self.query(TextField) if self._typed(field.key)}
        missing = []
        for fault in faults:
            key = str(fault.path[0]) if fault.path else ""
            if key in typed:
                typed[key].say(fault.sentence)
                good = False
            elif key == "name":
                missing.append("give it a name")
            else:
                missing.append(fault.sentence)
        return (trigger if good and not missing else None), missing

    def go(self) -> None:
        """Sends the request."""
        trigger, view = self._trigger, self._view
        if trigger is not None:
            self.send(
                lambda client: client.set_trigger(trigger.written(), view.id),
                f"The trigger {trigger.name} stands on {view.name}. It acts for you.",
            )


def _will(trigger: Trigger, name: str) -> str:
    match trigger.action:
        case TriggerAction.NOTIFY:
            return "its owner is told the message"
        case TriggerAction.EXTEND:
            return f"{name} lives longer"
        case TriggerAction.UPDATE:
            return f"{name} is updated"
        case TriggerAction.STOP:
            return f"{name} is stopped"
        case TriggerAction.START:
            return f"{name} is started"
        case _:
            return f"{name} is destroyed"
