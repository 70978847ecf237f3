"""The dialog that sets a trigger on an environment."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Button, Static

from environments.client import Client
from environments.domain.errors import CalvinverseError, InvalidInput, InvalidTrigger
from environments.domain.faults import Fault
from environments.domain.received_event import GIT, KINDS, Source
from environments.domain.trigger import Trigger, TriggerAction
from environments.domain.trigger_file import condition_of, faults_of, invalid_trigger, read_trigger
from environments.domain.trigger_rules import MAKES, Place
from environments.domain.trigger_values import OPEN
from environments.schemas.typed import Unreadable, read_typed
from environments.wire.environments import EnvironmentView
from environments.words import clean
from tui.dialogs import Dialog
from tui.fields import ChoiceField, FormField, SwitchField, TextField
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
    "heartbeat": lambda on, does: on is Source.IDLE,
    "over": lambda on, does: on is Source.COST,
    "by": lambda on, does: does is TriggerAction.EXTEND,
    "parameters": lambda on, does: does is TriggerAction.UPDATE,
    "message": lambda on, does: does is TriggerAction.NOTIFY,
}
"""Fields that only some sources or actions read."""

_NO_TEXTS = frozenset({"heartbeat", "parameters"})
"""Those of them whose value isn't what is typed."""

_BETWEEN = re.compile(r",(?=\s*[\w-]+\s*=)")
"""Divides parameters: a comma within a value doesn't."""


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
        yield SwitchField("heartbeat", "No heartbeat", "none was sent for that long", value=False)
        yield TextField("over", "Budget", required=True)
        yield TextField("when", "Only if", "FIELD=VALUE, also != ^= (begins with) ~= (* is anything); a `;` divides")
        yield ChoiceField("does", "Then", [(one.value, one) for one in _DOES], value=UNSET, required=True)
        yield TextField("by", "By", "how much longer, such as 2h", required=True)
        yield TextField("parameters", "Parameters", "KEY=VALUE, KEY=VALUE; the others stay as they are")
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
        given: dict[str, Any] = {key: self._typed(key) for key in ("name", *_ONLY_FOR) if key not in _NO_TEXTS}
        definition = {key: value for key, value in given.items() if value} | {
            "name": given["name"],
            "on": on.value,
            "action": does.value,
            "kinds": [kind for part in self._typed("kinds").split(",") if (kind := part.strip())],
        }
        good = True
        if self.field("heartbeat").display and self.field("heartbeat").value:
            definition["heartbeat"] = True
        try:
            if parameters := dict(_parameters_of(self._typed("parameters"))):
                definition["parameters"] = parameters
        except InvalidInput as error:
            self.field("parameters").say(f"{error.message} {error.hint}")
            good = False
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
                lambda client: client.set_trigger(_read(client, view, trigger.written()), view.id),
                f"The trigger {trigger.name} stands on {view.name}. It acts for you.",
            )

    def refused(self, error: CalvinverseError) -> None:
        """Shows what is wrong below its field, too."""
        super().refused(error)
        if isinstance(error, InvalidTrigger):
            for fault in faults_of(error):
                for field in self.query(FormField):
                    if fault.path[:1] == (field.key,) and field.display:
                        field.say(fault.sentence)


def _parameters_of(text: str) -> Iterator[tuple[str, str]]:
    """Names and texts of `key=value, key=value`. Raises `InvalidInput`."""
    for part in filter(None, map(str.strip, _BETWEEN.split(text))):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise InvalidInput(f"{part[:60]!r} is no parameter.", hint="Write KEY=VALUE, KEY=VALUE.")
        yield key.strip(), value.strip()


def _read(client: Client, view: EnvironmentView, definition: Mapping[str, Any]) -> dict[str, Any]:
    """The definition with parameters of the types that the template wants; the service checks their names.

    Raises `InvalidTrigger`.
    """
    given = definition.get("parameters", {})
    if not given:
        return dict(definition)
    known = client.template(view.template, view.bundle).parameters_schema.get("properties", {})
    read: dict[str, Any] = {}
    faults = []
    for key, text in given.items():
        try:
            read[key] = text if OPEN in text or key not in known else read_typed(text, known[key])
        except Unreadable as error:
            faults.append(Fault(path=("parameters", key), message=f"parameters.{key}: {text!r} {error}"))
    if faults:
        raise invalid_trigger(faults)
    return {**definition, "parameters": read}


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
