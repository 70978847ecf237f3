"""Fields of a form: label, input, help, and the error of the present value."""

import json
from collections.abc import Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Checkbox, Input, Label, Select, Static

from environments.domain.json_values import same
from environments.words import clean, one_line, shown
from tui.schema import UNSET, Parameter, Unset


class FormField(Vertical):
    """One field. The line below the input has help, or the error."""

    class Edited(Message):
        """The value was changed."""

        def __init__(self, field: "FormField") -> None:
            super().__init__()
            self.field = field

    def __init__(self, key: str, label: str, help: str = "", *, required: bool = False) -> None:
        super().__init__(classes="field")
        self.key = key
        self._label = f"{label} *" if required else label
        self._help = help

    def control(self) -> Input | Select[Any] | Checkbox:
        """The widget that has the value."""
        raise NotImplementedError

    @property
    def value(self) -> Any:
        """The present value."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Label and input on one line, help below."""
        with Horizontal():
            yield Label(one_line(self._label), markup=False)
            yield self.control()
        yield Static(clean(self._help), classes="help", markup=False)

    def on_mount(self) -> None:
        """Hides the line below the input if there is no help."""
        self.query_one(".help").display = bool(self._help)

    def say(self, problem: str) -> None:
        """Shows an error, or the help if there is none."""
        line = self.query_one(".help", Static)
        text = problem or self._help
        line.display = bool(text)
        line.update(Content.assemble((f"✗ {clean(problem)}", "$error")) if problem else Content(clean(self._help)))
        self.set_class(bool(problem), "-wrong")

    def explain(self, help: Content) -> None:
        """Replaces the help, for example by the effect of the value."""
        self.query_one(".help", Static).update(help)
        self.query_one(".help").display = True
        self.remove_class("-wrong")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Reports the change to the form."""
        event.stop()
        self.post_message(self.Edited(self))

    def on_select_changed(self, event: "Select.Changed") -> None:
        """Reports the change to the form."""
        event.stop()
        self.post_message(self.Edited(self))

    def on_checkbox_changed(self, event: Checkbox.Changed) -> None:
        """Reports the change to the form."""
        event.stop()
        self.post_message(self.Edited(self))


class TextField(FormField):
    """A line of text; the text of a `secret` is masked."""

    def __init__(
        self,
        key: str,
        label: str,
        help: str = "",
        *,
        value: str = "",
        placeholder: str = "",
        required: bool = False,
        secret: bool = False,
        fixed: bool = False,
    ) -> None:
        super().__init__(key, label, help, required=required)
        self._input = Input(value, placeholder=one_line(placeholder), password=secret, compact=True, disabled=fixed)

    def control(self) -> Input:
        """The input."""
        return self._input

    @property
    def value(self) -> str:
        """The text."""
        return self._input.value


class ChoiceField(FormField):
    """A choice between values of any type."""

    def __init__(
        self,
        key: str,
        label: str,
        choices: list[tuple[str, Any]],
        help: str = "",
        *,
        value: Any,
        required: bool = False,
    ) -> None:
        super().__init__(key, label, help, required=required)
        self._values = [choice for _, choice in choices]
        index = index_of(self._values, value)
        self._select: Select[int] = Select(
            [(Content(one_line(text)), number) for number, (text, _) in enumerate(choices)],
            value=Select.NULL if index is None else index,
            allow_blank=index is None,
            compact=True,
            prompt="choose",
        )

    def control(self) -> Select[int]:
        """The list of choices."""
        return self._select

    @property
    def value(self) -> Any:
        """The chosen value, or `UNSET`."""
        chosen = self._select.value
        return self._values[chosen] if isinstance(chosen, int) else UNSET


class SwitchField(FormField):
    """A checkbox."""

    def __init__(self, key: str, label: str, help: str = "", *, value: bool) -> None:
        super().__init__(key, label, help)
        self._checkbox = Checkbox("yes" if value else "no", value, compact=True)

    def control(self) -> Checkbox:
        """The checkbox."""
        return self._checkbox

    @property
    def value(self) -> bool:
        """Whether it is checked."""
        return self._checkbox.value

    def on_checkbox_changed(self, event: Checkbox.Changed) -> None:
        """Shows the value as a word, too."""
        self._checkbox.label = "yes" if event.value else "no"
        super().on_checkbox_changed(event)


def index_of(values: list[Any], value: Any) -> int | None:
    """The index of a JSON value among others; True is not 1."""
    given = not isinstance(value, Unset)
    return next((number for number, one in enumerate(values) if given and same(one, value)), None)


def labels(choices: Sequence[Any]) -> list[str]:
    """The choices as they are shown: texts in quotes where they would look like another JSON value."""
    others = {shown(choice) for choice in choices if not isinstance(choice, str)}
    return [
        json.dumps(one, ensure_ascii=False) if isinstance(one, str) and one in others else shown(one) for one in choices
    ]


def parameter_field(parameter: Parameter, given: Any) -> FormField:
    """The field of a parameter with the value `given`: the draft's, or the initial one."""
    key = f"parameter.{parameter.name}"
    said = [text for text in (parameter.description, parameter.limits) if text]
    if parameter.secret:
        said.append("not shown")
    help = " · ".join(said)
    if parameter.kind == "choice":
        choices = list(zip(labels(parameter.choices), parameter.choices, strict=True))
        return ChoiceField(key, parameter.name, choices, help, value=given, required=parameter.required)
    if parameter.kind == "boolean":
        return SwitchField(key, parameter.name, help, value=bool(given))
    return TextField(key, parameter.name, help, value=str(given), required=parameter.required, secret=parameter.secret)
