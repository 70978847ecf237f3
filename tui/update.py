"""The form that updates an environment by a plan: the newest version of its template, and other parameters."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from textual.content import Content

from environments.client import Client
from environments.domain.errors import CalvinverseError
from environments.domain.json_values import same
from environments.domain.lifecycle import DeploymentKind
from environments.wire.environments import EnvironmentView
from environments.wire.plans import PlanRequest, PlanView
from environments.wire.templates import TemplateView
from environments.words import clean
from tui.dialogs import problem_text
from tui.fields import FormField, parameter_field
from tui.form import FormScreen
from tui.plan_dialog import PlanDialog
from tui.schema import UNSET, Parameter, Unset, parameters


class UpdateScreen(FormScreen):
    """Updates an environment; fields have its present values, secrets stay unless another one is typed."""

    def __init__(self, view: EnvironmentView) -> None:
        super().__init__(f"Update {view.name}", "Plan")
        self._view = view
        self._request = PlanRequest(kind=DeploymentKind.UPDATE)
        self._parameters: dict[str, Parameter] = {}

    def action_reload(self) -> None:
        """Fetches the newest version of its template."""
        client = self.shell.client
        self.ask(lambda: client().template(self._view.template), self._found, self._not_found)

    def _not_found(self, error: CalvinverseError) -> None:
        if not self.fields():
            self.word(problem_text(error))

    def _found(self, template: TemplateView) -> None:
        if self.fields() or not self.is_attached:
            return
        self.call_later(self._build, template)

    async def _build(self, template: TemplateView) -> None:
        view = self._view
        found = [replace(one, required=False) if one.secret else one for one in parameters(template.parameters_schema)]
        self._parameters = {f"parameter.{parameter.name}": parameter for parameter in found}
        now, then = clean(view.template_version), clean(template.version)
        versions = f"version {now} → {then}" if template.digest != view.bundle else f"version {now}, the newest"
        self.word(Content.assemble((f"{clean(view.template)}, {versions}", "$faint")))
        await self.query_one("#parameters").mount(
            *(parameter_field(one, one.initial(view.parameters.get(one.name, UNSET))) for one in found)
        )
        self.focus_next()

    def edited(self, field: FormField) -> None:
        """Saves nothing: the environment has the initial values."""

    def check(self, field: FormField) -> Any:
        """See the form."""
        return self._parameters[field.key].read(field.value)

    def request(self, values: dict[str, Any]) -> Callable[[Client], PlanView]:
        """See the form. Sends only the values that differ, and changes nothing yet."""
        view = self._view
        changed = {
            parameter.name: values[key]
            for key, parameter in self._parameters.items()
            if not isinstance(values[key], Unset) and not self._has(parameter, values[key])
        }
        request = PlanRequest(kind=DeploymentKind.UPDATE, **({"parameters": changed} if changed else {}))
        self._request = request
        return lambda client: client.plan(view.id, request)

    def _has(self, parameter: Parameter, value: Any) -> bool:
        """Whether the environment has the value; a parameter that it lacks counts as having its default."""
        present = self._view.parameters.get(parameter.name, parameter.schema.get("default", UNSET))
        return not isinstance(present, Unset) and same(present, value)

    def taken(self, answer: PlanView) -> None:
        """Shows the plan; what was typed is kept until it is applied."""
        name, id = self._view.name, self._view.id
        dialog = PlanDialog(name, id, self._request, f"Update {name}", "is being updated", plan=answer)
        self.shell.push_screen(dialog, self._applied)

    def _applied(self, yes: bool | None) -> None:
        """Shows the environment."""
        if yes:
            shell, view = self.shell, self._view
            self.dismiss()
            shell.open_detail(view)
