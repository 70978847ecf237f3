"""Creating an environment: picking a template, a form of its parameters, a plan first or at once."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from environments import template_words
from environments.domain.deadline import parse_lifetime
from environments.domain.errors import (
    CalvinverseError,
    IdempotencyMismatch,
    InvalidLifetime,
    Unauthenticated,
    UnknownTemplate,
)
from environments.domain.lifecycle import DeploymentKind
from environments.domain.names import check_environment_name
from environments.ui.answers import fragment, go, page
from environments.ui.faults import UNCERTAIN, status_of
from environments.ui.listing import place
from environments.ui.making_basics import (
    RULE_FIELDS,
    deadline_of,
    lifetime_fault,
    lifetimes,
    new_key,
    problems_in,
    read_rules,
    request_key,
    rules_of,
    unfit,
)
from environments.ui.parameter_form import ParameterForm
from environments.ui.schema_fields import every_field
from environments.ui.visit import Visit
from environments.wire.environments import CreateRequest
from environments.wire.plans import PlanRequest
from environments.wire.templates import TemplateView

PATH = "/environments/new"

_ASKED = "p."
"""How the names of parameters begin in a link to the form."""

_ANY_NAME = "not-named-yet"
"""Stands for the name in a check, while none is typed."""

_WHERE = {"invalid_name": "name", "name_taken": "name", "invalid_lifetime": "lifetime"}
"""Code of an error → the field that it is about."""


@dataclass
class Making:
    """A form that creates an environment, with what was typed and what is wrong with it."""

    template: TemplateView
    parameters: ParameterForm
    key: str
    name: str = ""
    lifetime: str = ""
    rules: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    """Field → what is wrong; the empty name: the form as a whole."""
    hint: str = ""
    ttl: str | None = None
    until: datetime | None = None
    deadline: datetime | None = None

    @property
    def count(self) -> int:
        """How many fields need another value."""
        return len([name for name in self.faults if name]) + len(self.parameters.faults)

    def judge(self, visit: Visit) -> None:
        """Finds what can be found without asking: a name that can't be one, and a lifetime that isn't possible."""
        try:
            check_environment_name(self.name)
        except CalvinverseError as error:
            self.faults["name"] = f"{error.message} {error.hint}" if self.name else "A name is needed."
        try:
            self.ttl, self.until = parse_lifetime(self.lifetime, visit.zone)
            self.deadline = deadline_of(self.template, visit.now, visit.zone, self.ttl, self.until)
        except InvalidLifetime as error:
            self.faults["lifetime"] = lifetime_fault(error)

    def refused(self, error: CalvinverseError) -> None:
        """Puts an error of the service where it belongs."""
        self.parameters.blame(problems_in(error.details))
        where = _WHERE.get(error.code, "")
        told = bool(problems_in(error.details)) and bool(self.parameters.faults)
        self.faults[where] = "Some parameters need another value." if told else error.message
        self.hint = "" if told else error.hint
        if isinstance(error, IdempotencyMismatch):  # it was sent before, with other values
            self.key = new_key()

    def link(self, visit: Visit) -> str:
        """The address of the form with what was typed, without secrets."""
        asked = {f"{_ASKED}{name}": text for name, text in self.parameters.asked().items()}
        return visit.link(PATH, template=self.template.name, name=self.name, lifetime=self.lifetime, **asked)


def new(visit: Visit) -> Response:
    """The form, filled in as its address says; without a template a page to pick one. Nothing is done by it."""
    wanted = visit.asked("template")
    if not wanted:
        return _pick(visit)
    template = visit.client.template(wanted, visit.asked("digest") or None)
    asked = {name.removeprefix(_ASKED): visit.asked(name) for name in visit.query if name.startswith(_ASKED)}
    making = Making(
        template=template,
        parameters=ParameterForm.new(template.parameters_schema, asked=asked),
        key=new_key(),
        name=visit.asked("name"),
        lifetime=visit.asked("lifetime"),
    )
    making.judge(visit)
    if not making.name:
        making.faults.pop("name", None)
    return _draw(visit, making)


def send(visit: Visit) -> Response:
    """What a button of the form asks for: a row more or less, a plan, or the environment itself."""
    making = _typed(visit)
    wanted = visit.typed("do", "create")
    if making.parameters.change(wanted):
        return _draw(visit, making)
    making.judge(visit)
    given = making.parameters.given()
    if wanted == "link":
        making.faults, making.parameters.faults = {}, {}
        return _draw(visit, making, shared=True)
    if making.count:
        return _draw(visit, making, 400)
    try:
        return _plan(visit, making, given) if wanted == "plan" else _create(visit, making, given)
    except (*UNCERTAIN, Unauthenticated):
        raise
    except ValidationError as fault:
        making.refused(error := unfit(fault))
        return _draw(visit, making, status_of(error))
    except CalvinverseError as error:
        making.refused(error)
        return _draw(visit, making, status_of(error))


def check(visit: Visit) -> Response:
    """What is wrong with what was typed so far, for a script that puts it beside the fields.

    What isn't typed yet isn't wrong yet.
    """
    making = _typed(visit)
    making.judge(visit)
    given = making.parameters.given()
    if not making.name:
        making.faults.pop("name", None)
    if "lifetime" not in making.faults:
        _foresee(visit, making, given)
    rules = rules_of(visit)
    fields = list(every_field(making.parameters.fields()))
    basics = {name: making.faults.get(name, "") for name in ("name", "lifetime")}
    deadline = making.deadline
    count = making.count + sum(bool(one.problem) for found in rules.values() for one in found)
    return fragment(
        visit, "making_check.html", fields=fields, count=count, basics=basics, deadline=deadline, rules=rules
    )


def _foresee(visit: Visit, making: Making, given: dict[str, Any]) -> None:
    try:
        request = _request(visit, making, given, making.name or _ANY_NAME)
        found = visit.client.check_creation(request)
    except Unauthenticated:
        raise
    except (CalvinverseError, ValidationError):  # whatever it is, sending the form will say it
        return
    for problem in found.problems:
        making.parameters.blame([one for one in problems_in(problem.details) if not one.endswith(": is missing")])
        if (where := _WHERE.get(problem.code)) is not None and not (where == "name" and not making.name):
            making.faults.setdefault(where, f"{problem.message} {problem.hint}")
    making.deadline = found.deadline or making.deadline


def _typed(visit: Visit) -> Making:
    """What was sent. Of a version that was deleted meanwhile the newest one is taken, which is said."""
    wanted, digest = visit.typed("template"), visit.typed("digest") or None
    faults: dict[str, str] = {}
    try:
        template = visit.client.template(wanted, digest)
    except UnknownTemplate as error:
        if digest is None:
            raise
        template = visit.client.template(wanted)
        faults[""] = f"{error.message} This is the form of the newest version: look at it, and send it again."
    return Making(
        template=template,
        parameters=ParameterForm(template.parameters_schema, visit.form),
        key=request_key(visit),
        name=visit.typed("name").strip(),
        lifetime=visit.typed("lifetime").strip(),
        rules={name: visit.typed(name).replace("\r\n", "\n") for name in RULE_FIELDS},
        faults=faults,
    )


def _create(visit: Visit, making: Making, given: dict[str, Any]) -> Response:
    request = _request(visit, making, given, making.name)
    made = visit.client.create(request, idempotency_key=making.key)
    return go(place("environments", made.environment.name, done="environment.create"))


def _request(visit: Visit, making: Making, given: dict[str, Any], name: str) -> CreateRequest:
    return CreateRequest(
        name=name,
        template=making.template.name,
        digest=making.template.digest,
        parameters=given,
        ttl=making.ttl,
        until=making.until,
        rules=read_rules(visit),
    )


def _plan(visit: Visit, making: Making, given: dict[str, Any]) -> Response:
    request = PlanRequest(
        kind=DeploymentKind.CREATE,
        template=making.template.name,
        digest=making.template.digest,
        parameters=given,
        ttl=making.ttl,
        until=making.until,
        rules=read_rules(visit),
    )
    return go(f"/plans/{visit.client.plan(making.name, request).id}")


def _draw(visit: Visit, making: Making, status: int = 200, *, shared: bool = False) -> Response:
    return page(
        visit,
        "making.html",
        status,
        making=making,
        fields=making.parameters.fields(),
        link=visit.origin + making.link(visit),
        shared=shared,
        lifetimes=lifetimes(making.template),
        rules=rules_of(visit),
        told=template_words,
    )


def _pick(visit: Visit) -> Response:
    return page(visit, "making_pick.html", templates=visit.client.templates(), lifetimes=lifetimes, told=template_words)


PAGES = (("GET", PATH, new), ("POST", PATH, send), ("POST", f"{PATH}/check", check))
