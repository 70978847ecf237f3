"""The form that creates an environment: the fields come from the template's JSON Schema."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Button, Input

from environments.client import Client
from environments.domain.deadline import first_deadline, format_duration, parse_duration
from environments.domain.errors import CalvinverseError
from environments.domain.lifecycle import DeploymentKind
from environments.domain.names import check_environment_name
from environments.moments import countdown, in_zone
from environments.template_words import costs, takes
from environments.wire.environments import Accepted, CreateRequest, EnvironmentView
from environments.wire.plans import PlanRequest, PlanView
from environments.wire.templates import TemplateView
from environments.words import clean
from tui.dialogs import problem_text
from tui.draft import Draft
from tui.fields import ChoiceField, FormField, TextField, parameter_field
from tui.form import FormScreen
from tui.plan_dialog import PlanDialog
from tui.schema import UNSET, FieldProblem, Parameter, parameters, read_lifetime


class CreateScreen(FormScreen):
    """Creates an environment. The form shows errors of the service, and keeps what was typed."""

    FIELD_OF: ClassVar[dict[str, str]] = {
        "invalid_name": "name",
        "name_taken": "name",
        "invalid_lifetime": "lifetime",
        "unknown_template": "template",
    }

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+p", "plan", "Plan first", key_display="^p")]

    def __init__(self, draft: Draft) -> None:
        super().__init__("Create an environment", "Create")
        self._draft = draft
        self._templates: dict[str, TemplateView] = {}
        self._parameters: dict[str, Parameter] = {}
        self._planned_as = "", PlanRequest(kind=DeploymentKind.CREATE)

    # --- templates ---------------------------------------------------------------------------------------------------

    def action_reload(self) -> None:
        """Fetches the templates."""
        client = self.shell.client
        self.ask(lambda: client().templates(), self._found, self._not_found)

    def _not_found(self, error: CalvinverseError) -> None:
        if not self._templates:
            self.word(problem_text(error))

    def _found(self, templates: list[TemplateView]) -> None:
        if self._templates or not self.is_attached:
            return
        if not templates:
            self.word(
                Content.assemble(
                    ("The service has no templates yet.\n", "bold"),
                    "Give it one with ",
                    ("calvinverse template push <folder>", "$secondary"),
                    ", or begin your own with ",
                    ("calvinverse template new", "$secondary"),
                    "; then press ^r.",
                )
            )
            return
        self._templates = {template.name: template for template in templates}
        if self._draft.template not in self._templates:
            self._draft.template = templates[0].name
        self.call_later(self._build, templates)

    async def _build(self, templates: list[TemplateView]) -> None:
        """Builds the fields that every environment has, with the values of the draft."""
        draft = self._draft
        choices = [(template.name, template.name) for template in templates]
        basics: list[FormField] = [
            ChoiceField("template", "template", choices, value=draft.template, required=True),
            TextField(
                "name",
                "name",
                "lower-case letters, digits and single hyphens; it is part of every address",
                value=draft.name,
                required=True,
            ),
            TextField(
                "lifetime",
                "lifetime",
                value=draft.lifetime,
                placeholder="8h, 3d, 2026-12-01T18:00; else the template's",
            ),
        ]
        self.word("")
        await self.query_one("#basics").mount(*basics)
        await self._build_parameters()
        self.query_one("#basics").query(Input).first().focus()

    async def _build_parameters(self) -> None:
        template = self._template()
        found = list(parameters(template.parameters_schema))
        self._parameters = {f"parameter.{parameter.name}": parameter for parameter in found}
        place = self.query_one("#parameters")
        await place.remove_children()
        values = self._draft.values
        await place.mount(
            *(
                parameter_field(parameter, values.get((template.name, parameter.name), parameter.initial()))
                for parameter in found
            )
        )
        for basic in self.fields():
            if basic.key == "template":
                basic.explain(Content(" · ".join(_about(template))))
            elif basic.key == "lifetime" or (basic.key == "name" and self._draft.name):
                self.judge(basic)

    def _template(self) -> TemplateView:
        return self._templates[self._draft.template or ""]

    def tick(self) -> None:
        """Updates the deadline, which depends on the present time."""
        super().tick()
        for found in self.fields():
            if found.key == "lifetime" and not found.has_class("-wrong"):
                self.judge(found)

    # --- values ------------------------------------------------------------------------------------------------------

    def edited(self, field: FormField) -> None:
        """Saves the value in the draft; another template brings other parameters."""
        draft = self._draft
        if field.key == "template":
            if field.value in self._templates and field.value != draft.template:
                draft.template = field.value
                self.call_later(self._build_parameters)
        elif field.key == "name":
            draft.name = field.value
        elif field.key == "lifetime":
            draft.lifetime = field.value
        else:
            draft.values[(draft.template or "", field.key.removeprefix("parameter."))] = field.value

    def check(self, field: FormField) -> Any:
        """See the form."""
        if field.key == "template":
            return field.value
        if field.key == "name":
            return self._check_name(field.value.strip())
        if field.key == "lifetime":
            return self._check_lifetime(field)
        parameter = self._parameters.get(field.key)
        return parameter.read(field.value) if parameter is not None else UNSET

    def _check_name(self, name: str) -> str:
        if not name:
            raise FieldProblem("A name is needed.")
        try:
            check_environment_name(name)
        except CalvinverseError as error:
            raise FieldProblem(f"{error.message} {error.hint}") from error
        if any(view.name == name for view in self.shell.living()):
            raise FieldProblem(f"There is an environment {name!r} already.")
        return name

    def _check_lifetime(self, field: FormField) -> Any:
        template, clock = self._template(), self.shell.clock
        maximum = _seconds(template.maximum_lifetime)
        try:
            ttl, until = read_lifetime(field.value, clock)
            now = clock.now()
            deadline = first_deadline(
                in_zone(now, clock.zone),
                default=_seconds(template.default_lifetime),
                maximum=maximum,
                ttl=parse_duration(ttl) if ttl else None,
                until=in_zone(until, clock.zone) if until else None,
            )
        except CalvinverseError as error:
            raise FieldProblem(f"{error.message} {error.hint}") from error
        limit = f" · maximum {format_duration(maximum)}" if maximum else ""
        if deadline is None:
            field.explain(Content(f"it lives until somebody destroys it{limit}"))
        else:
            when = f"{clock.moment(deadline)}, in {countdown(deadline - now)}"
            field.explain(Content.assemble("expires ", (when, "bold"), limit))
        return ttl, until

    def _given(self, values: dict[str, Any]) -> dict[str, Any]:
        """The parameters to send, without those that have their default."""
        return {
            parameter.name: values[key]
            for key, parameter in self._parameters.items()
            if not parameter.is_default(values[key])
        }

    def request(self, values: dict[str, Any]) -> Callable[[Client], Accepted]:
        """See the form."""
        ttl, until = values["lifetime"]
        request = CreateRequest(
            name=values["name"],
            template=self._template().name,
            parameters=self._given(values),
            ttl=ttl,
            until=until,
        )
        draft = self._draft
        if request != draft.sent:
            draft.sent, draft.key = request, self.shell.make_key()
        key = draft.key
        return lambda client: client.create(request, idempotency_key=key)

    def taken(self, answer: Accepted) -> None:
        """Shows the new environment, and clears the draft."""
        self.shell.learn(answer.environment)
        self._leave_for(answer.environment)

    def _leave_for(self, view: EnvironmentView) -> None:
        shell = self.shell
        shell.draft = Draft(template=self._draft.template)
        self.dismiss()
        shell.open_detail(view)

    # --- a plan first ------------------------------------------------------------------------------------------------

    def more_buttons(self) -> ComposeResult:
        """Adds the button that shows a plan first."""
        yield Button("Plan first (^p)", id="plan-first", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """See the form; handles one more button."""
        if event.button.id == "plan-first":
            event.stop()
            self.action_plan()
        else:
            super().on_button_pressed(event)

    def action_plan(self) -> None:
        """Requests the plan of the creation; creates nothing."""
        self.submit(self._plan, self._planned, "#plan-first", "Plan first (^p)")

    def _plan(self, values: dict[str, Any]) -> Callable[[Client], PlanView]:
        ttl, until = values["lifetime"]
        request = PlanRequest(
            kind=DeploymentKind.CREATE,
            template=self._template().name,
            parameters=self._given(values),
            ttl=ttl,
            until=until,
        )
        self._planned_as = values["name"], request
        return lambda client: client.plan(values["name"], request)

    def _planned(self, answer: PlanView) -> None:
        """Shows the plan; the draft is kept until the plan is applied."""
        name, request = self._planned_as
        dialog = PlanDialog(name, name, request, f"Create {name}", "is being created", plan=answer)
        self.shell.push_screen(dialog, self._applied)

    def _applied(self, yes: bool | None) -> None:
        made = [view for view in self.shell.living() if view.name == self._planned_as[0]]
        if yes and made:
            self._leave_for(made[0])


def _about(template: TemplateView) -> Iterator[str]:
    """What to know before one picks a template."""
    if said := clean(template.description):
        yield said
    yield f"version {clean(template.version)}"
    if template.creates is not None:
        yield f"takes {takes(template)}"
    if price := costs(template):
        yield f"costs {price}"


def _seconds(lifetime: float | None) -> timedelta | None:
    return None if lifetime is None else timedelta(seconds=lifetime)
