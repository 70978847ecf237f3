"""Updating an environment: another version of its template, other parameters; a plan first, or at once."""

import json
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from environments.actions.registry import action
from environments.domain.errors import CalvinverseError, Unauthenticated, UnknownTemplate
from environments.domain.json_values import parse_json, same
from environments.domain.lifecycle import DeploymentKind
from environments.ui.answers import fragment, go, page
from environments.ui.environment.common import found, path_of, why_not
from environments.ui.faults import UNCERTAIN, status_of
from environments.ui.making_basics import problems_in, unfit
from environments.ui.parameter_form import ParameterForm
from environments.ui.schema_fields import every_field
from environments.ui.schema_forms import Unset
from environments.ui.version_differences import Difference, differences
from environments.ui.visit import Visit
from environments.wire.environments import CreateRequest, EnvironmentView, UpdateRequest
from environments.wire.plans import PlanRequest
from environments.wire.templates import TemplateView

_ASKED = "p."


@dataclass
class Updating:
    """A form that updates an environment. `was`: the parameters that it was filled in with, without secrets.

    Only what differs from them is sent: what somebody else has changed meanwhile stays as it is.
    """

    view: EnvironmentView
    template: TemplateView
    parameters: ParameterForm
    was: dict[str, Any]
    run_again: list[str] = field(default_factory=list)
    problem: str = ""
    hint: str = ""

    @property
    def newer(self) -> bool:
        """Whether it brings another version of the template."""
        return self.template.digest != self.view.bundle

    @property
    def was_text(self) -> str:
        """The parameters for the form."""
        return json.dumps(self.was, ensure_ascii=False)

    @property
    def dropped(self) -> list[str]:
        """Parameters that this version doesn't take any more."""
        return [name for name in self.was if name not in self.parameters.nodes]

    def changed(self) -> dict[str, Any]:
        """The parameters that differ; an emptied one gets its default."""
        made: dict[str, Any] = {}
        for name, value in self.parameters.values().items():
            node = self.parameters.nodes[name]
            if isinstance(value, Unset):
                if node.secret:
                    continue
                if "default" not in node.schema:
                    self.parameters.faults.setdefault(node.path, "A value is needed.")
                    continue
                value = node.schema["default"]
            before = self.was.get(name, node.schema.get("default", _NOTHING))
            if node.secret or before is _NOTHING or not same(before, value):
                made[name] = value
        return made

    def refused(self, error: CalvinverseError) -> None:
        """Puts an error of the service where it belongs."""
        self.parameters.blame(problems_in(error.details))
        told = bool(problems_in(error.details)) and bool(self.parameters.faults)
        self.problem = "Some parameters need another value." if told else error.message
        self.hint = "" if told else error.hint

    def link(self, visit: Visit) -> str:
        """The address of the form with what was typed, without secrets."""
        texts = self.parameters.asked()
        asked = {f"{_ASKED}{name}": texts[name] for name in self.changed() if name in texts}
        return visit.link(path_of(visit, self.view, "update"), digest=visit.typed("digest") or None, **asked)


_NOTHING: Any = object()


def show(visit: Visit) -> Response:
    """The form with the present parameters, and what its address says instead."""
    view = found(visit)
    template = visit.client.template(view.template, visit.asked("digest") or None)
    asked = {name.removeprefix(_ASKED): visit.asked(name) for name in visit.query if name.startswith(_ASKED)}
    was = _open(view, template)
    parameters = ParameterForm.new(template.parameters_schema, was, asked, known=True)
    return _draw(visit, Updating(view, template, parameters, was))


def send(visit: Visit) -> Response:
    """What a button of the form asks for: a row more or less, a plan, or the update itself."""
    updating = _typed(visit)
    wanted = visit.typed("do", "plan")
    if updating.parameters.change(wanted):
        return _draw(visit, updating)
    changed = updating.changed()
    if wanted == "link":
        updating.parameters.faults = {}
        return _draw(visit, updating, shared=True)
    if updating.parameters.faults:
        return _draw(visit, updating, 400)
    try:
        return _update(visit, updating, changed) if wanted == "update" else _plan(visit, updating, changed)
    except (*UNCERTAIN, Unauthenticated):
        raise
    except ValidationError as fault:
        updating.refused(error := unfit(fault))
        return _draw(visit, updating, status_of(error))
    except CalvinverseError as error:
        updating.refused(error)
        return _draw(visit, updating, status_of(error))


def check(visit: Visit) -> Response:
    """What is wrong with what was typed so far, for a script that puts it beside the fields.

    The service has no check of updates: it is asked about a new environment with these parameters.
    """
    updating = _typed(visit)
    changed = updating.changed()
    given = {name: value for name, value in {**updating.was, **changed}.items() if name not in updating.dropped}
    try:
        request = CreateRequest(
            name="not-named-yet",
            template=updating.template.name,
            digest=updating.template.digest,
            parameters=given,
        )
        for problem in visit.client.check_creation(request).problems:
            found = [one for one in problems_in(problem.details) if not one.endswith(": is missing")]
            updating.parameters.blame(found)
    except Unauthenticated:
        raise
    except (CalvinverseError, ValidationError):  # such as for somebody who may update it, but create nothing
        pass
    fields = list(every_field(updating.parameters.fields()))
    count = len(updating.parameters.faults)
    return fragment(visit, "making_check.html", fields=fields, count=count, basics={}, rules={})


def _typed(visit: Visit) -> Updating:
    """What was sent. Of a version that was deleted meanwhile the newest one is taken, which is said."""
    view = found(visit)
    problem = ""
    try:
        template = visit.client.template(view.template, visit.typed("digest") or None)
    except UnknownTemplate as error:
        template = visit.client.template(view.template)
        problem = f"{error.message} This is the form of the newest version: look at it, and send it again."
    parameters = ParameterForm(template.parameters_schema, visit.form, known=True)
    again = [step.name for step in template.steps if step.name in visit.form.get("run_again", ())]
    return Updating(view, template, parameters, _was(visit, view, template), again, problem)


def _was(visit: Visit, view: EnvironmentView, template: TemplateView) -> dict[str, Any]:
    try:
        was = parse_json(visit.typed("was"))
    except ValueError:
        was = None
    return was if isinstance(was, dict) else _open(view, template)


def _open(view: EnvironmentView, template: TemplateView) -> dict[str, Any]:
    """The present parameters without those that are secrets, now or in this version."""
    schemas = template.parameters_schema.get("properties", {})
    return {
        name: value
        for name, value in view.parameters.items()
        if not (isinstance(schemas.get(name), dict) and schemas[name].get("writeOnly") is True)
    }


def _plan(visit: Visit, updating: Updating, changed: dict[str, Any]) -> Response:
    request = PlanRequest(
        kind=DeploymentKind.UPDATE,
        digest=visit.typed("digest") or None,
        parameters=changed or None,
        run_again=tuple(updating.run_again) or None,
    )
    return go(f"/plans/{visit.client.plan(updating.view.id, request).id}")


def _update(visit: Visit, updating: Updating, changed: dict[str, Any]) -> Response:
    request = UpdateRequest(
        digest=visit.typed("digest") or None, parameters=changed or None, run_again=tuple(updating.run_again)
    )
    visit.client.update(updating.view.id, request)
    return go(f"{path_of(visit, updating.view)}?done=environment.update")


def _draw(visit: Visit, updating: Updating, status: int = 200, *, shared: bool = False) -> Response:
    view = updating.view
    return page(
        visit,
        "updating.html",
        status,
        updating=updating,
        view=view,
        here=path_of(visit, view),
        refused=why_not(action("environment.update"), view),
        fields=updating.parameters.fields(),
        differences=_differences(visit, updating),
        link=visit.origin + updating.link(visit) if shared else "",
        digest=visit.typed("digest") or visit.asked("digest"),
    )


def _differences(visit: Visit, updating: Updating) -> list[Difference]:
    """What the version changes; nothing if the present one isn't in the catalogue any more."""
    if not updating.newer:
        return []
    try:
        return differences(visit.client.template(updating.view.template, updating.view.bundle), updating.template)
    except UnknownTemplate:
        return []


PAGES = (
    ("GET", "/environments/{name}/update", show),
    ("POST", "/environments/{name}/update", send),
    ("POST", "/environments/{name}/update/check", check),
)
