"""Validates the job files of a template with a connected Nomad, before an environment exists.

Nomad's parser and validation find what static checks can't: errors in expressions, cron specs, operators. They need
values for the variables. Constants and expressions of defaults are known; values that only an environment has (outputs
of steps, parameters without a default) are guessed. A template is never refused because of a guess: then a fault counts
only if two different guesses have it, and if its subject can't depend on them.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog

from environments.domain.errors import (
    BackendError,
    CalvinverseError,
    CheckTooCostly,
    InvalidJob,
    MachineError,
    NotConnected,
)
from environments.domain.faults import TEMPLATE_FILE, Fault
from environments.domain.names import META
from environments.domain.template import Bundle
from environments.domain.template_parts import Template
from environments.providers.nomad.ports import Job, NomadApi
from environments.providers.nomad.registered_services import ENVIRONMENT_VARIABLE
from environments.providers.nomad.reported_faults import diagnostics, of_the_file, told_of_file, told_of_job
from environments.providers.nomad.rules import adopt, declared, job_label
from environments.service.rendering import render
from environments.steps.base import Owner
from environments.steps.hcl import literals as hcl
from environments.steps.hcl.faults import Source
from environments.steps.hcl.tree import parse
from environments.steps.hcl.types import declared_type
from environments.steps.options import has_expression

log = structlog.get_logger()

JOB_KIND = "nomad.job"

_NAMESPACE = "default"
"""This namespace always exists; the environment's doesn't exist yet."""

_ENVIRONMENT = Owner(id="env-aaaaaaaaaaaa", name="env")
_IMAGE = "image:placeholder"

_MOST_JOBS = 20
_LONGEST_FILE = 256 * 1024
"""Bytes of a job file; longer ones aren't sent."""

_PATIENCE = 20.0
"""Seconds for all job files of a template; a call that has begun is not interrupted."""

_AT_ONCE = 2
"""Templates that are validated in parallel."""

_GUESSES = (
    {"string": "placeholder", "number": 100, "bool": True, "list": [], "set": [], "map": {}, "": "1"},
    {"string": "example", "number": 200, "bool": False, "": "2"},
)
"""Type of a variable → two guesses. "" is the type of parts of lists and tables, which aren't checked. For any other
type the guess is null."""

_FREE = frozenset({"Env", "Config", "EmbeddedTmpl", "Meta", "Tags", "CPU", "MemoryMB"})
"""Fields of a job in which any guess will do, because validation accepts nearly all values there."""


_NOTHING: tuple[Any, ...] = (None, "", [], {})
"""Defaults that people replace, so they are treated as unknown."""


class _Unknown(dict[str, Any]):
    """A mapping with some known names; reading another name ends the evaluation."""

    def __missing__(self, name: str) -> Any:
        raise CheckTooCostly(f"{name!r} isn't known yet.")


class _Images(dict[str, str]):
    """References of images; a guess for any other image, which may be published later."""

    def __missing__(self, name: str) -> str:
        return _IMAGE


class NomadJudge:
    """Implements `Judge` of the service."""

    def __init__(self, nomad: NomadApi, patience: float = _PATIENCE) -> None:
        """`patience`: seconds for all job files of a template."""
        self._nomad = nomad
        self._patience = patience
        self._slots = threading.BoundedSemaphore(_AT_ONCE)

    def __call__(self, bundle: Bundle, found: Sequence[Fault], images: Mapping[str, str]) -> list[Fault]:
        """Faults of the job files without faults in `found`; a warning if Nomad can't be asked."""
        broken = {fault.file for fault in found if not fault.warning}
        try:
            template = bundle.template()
        except CalvinverseError:
            return []
        steps = _asked(template, broken)
        if not steps:
            return []
        until = time.monotonic() + self._patience
        if not self._slots.acquire(timeout=self._patience):
            return [_not_asked(steps[0][0], "too many templates are being checked")]
        told: dict[str, Fault] = {}
        try:
            for file, variables in steps:
                if time.monotonic() > until:
                    return [*told.values(), _not_asked(file, "it takes too long")]
                for fault in self._judged(bundle, file, variables, template, images, guess=TEMPLATE_FILE in broken):
                    told.setdefault(str(fault), fault)
        except NotConnected:
            return []
        except (BackendError, MachineError) as error:
            return [*told.values(), _not_asked(file, error.message.rstrip("."))]
        finally:
            self._slots.release()
        return list(told.values())

    def _judged(
        self,
        bundle: Bundle,
        file: str,
        variables: Mapping[str, Any],
        template: Template,
        images: Mapping[str, str],
        *,
        guess: bool,
    ) -> list[Fault]:
        if len(bundle.files.get(file, b"")) > _LONGEST_FILE:
            return []
        try:
            text = bundle.text(file)
            names = declared(text, variables)
            tries = _values(Source(file, parse(text)), names, variables, template, images, guess=guess)
            written = [hcl.assignments(values) for values in tries]
            label = job_label(text)
        except CalvinverseError:
            return []  # it has a fault that is reported already
        source = Source(file, parse(text))
        read = [self._read(text, values) for values in written]
        jobs = [job for job in read if isinstance(job, dict)]
        refused = [job for job in read if not isinstance(job, dict)]
        if refused:
            return [] if jobs else list(_same(source, refused))
        if len(jobs) > 1 and not _alike(jobs[0], jobs[1]):
            return []
        return list(self._validated(source, label, jobs, template))

    def _read(self, text: str, variables: str) -> Job | str:
        try:
            return self._nomad.parse(text, variables)
        except InvalidJob as error:
            return error.message

    def _validated(self, source: Source, label: str, jobs: Sequence[Job], template: Template) -> Iterator[Fault]:
        known: list[dict[str, Fault]] = []
        for job in jobs:
            try:
                adopted = adopt(
                    job,
                    label,
                    _ENVIRONMENT,
                    trusted=template.name == META,
                    volumes=template.host_volumes,
                    host_network=template.network == "host",
                )
            except InvalidJob as error:
                if len(jobs) == 1:
                    yield source.fault(0, error.message.rstrip("."))
                return
            told = told_of_job(source, self._nomad.validate({**adopted, "Namespace": _NAMESPACE}))
            known.append({str(fault): fault for fault in told})
        yield from (fault for key, fault in known[0].items() if all(key in other for other in known))


def _asked(template: Template, broken: set[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """File and variables of each step whose job Nomad can validate."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for step in template.steps:
        file, variables = step.options.get("file"), step.options.get("variables", {})
        if step.uses != JOB_KIND or not isinstance(file, str) or has_expression(file) or file in broken:
            continue
        if isinstance(variables, Mapping):
            found.append((file, variables))
    return found[:_MOST_JOBS]


def _values(
    source: Source,
    names: set[str],
    variables: Mapping[str, Any],
    template: Template,
    images: Mapping[str, str],
    *,
    guess: bool,
) -> list[dict[str, Any]]:
    """The values of the variables: one set if all are known, else two with different guesses.

    `guess`: all values are guesses.
    """
    blocks = {block.labels[0]: block for block in source.tree.body.of("variable") if len(block.labels) == 1}
    scope = _scope(template, images)
    tries: list[dict[str, Any]] = []
    for guesses in _GUESSES:
        values: dict[str, Any] = {}
        for name, given in variables.items():
            kind = (declared_type(blocks[name]) if name in blocks else ()) or ("string",)
            values[name], guessed = _value(given, scope, guesses, kind[0])
            guess = guess or guessed
        if ENVIRONMENT_VARIABLE in names:
            values.setdefault(ENVIRONMENT_VARIABLE, _ENVIRONMENT.name)
        tries.append(values)
        if not guess:
            break
    return tries


def _scope(template: Template, images: Mapping[str, str]) -> dict[str, Any]:
    """The names for expressions, with the values that all environments without given parameters have."""
    parameters = _Unknown()
    for name, schema in template.parameters.items():
        choices = schema.get("enum")
        if schema.get("writeOnly") is True:
            continue
        if schema.get("default") not in _NOTHING:
            parameters[name] = schema["default"]
        elif isinstance(choices, list) and choices:
            parameters[name] = choices[0]
    return {
        "parameters": parameters,
        "environment": {"id": _ENVIRONMENT.id, "name": _ENVIRONMENT.name, "owner": "owner"},
        "steps": _Unknown(),
        "images": _Images(images),
    }


def _value(value: Any, scope: Mapping[str, Any], guesses: Mapping[str, Any], kind: str) -> tuple[Any, bool]:
    """A value with its expressions evaluated, and whether any part of it is guessed."""
    if isinstance(value, Mapping):
        parts = {key: _value(part, scope, guesses, "") for key, part in value.items()}
        return {key: part for key, (part, _) in parts.items()}, any(guessed for _, guessed in parts.values())
    if isinstance(value, list):
        items = [_value(part, scope, guesses, "") for part in value]
        return [part for part, _ in items], any(guessed for _, guessed in items)
    if not has_expression(value):
        return value, False
    try:
        found = render(value, scope, "variable", _costly)
        hcl.literal(found)
    except (CalvinverseError, RecursionError):
        return guesses.get(kind), True
    return found, False


def _costly(text: str, names: Mapping[str, Any], where: str) -> Any:
    raise CheckTooCostly(f"{where}: its value isn't evaluated.")


def _same(source: Source, refused: Sequence[str]) -> Iterator[Fault]:
    """Faults that all answers have; if the values are guesses, only those that can't depend on the guesses."""
    answers = [diagnostics(text) for text in refused]
    for found in answers[0]:
        if len(answers) == 1 or (all(found in other for other in answers) and of_the_file(source, found)):
            yield told_of_file(source, found)


def _alike(one: Any, other: Any) -> bool:
    """Whether two jobs differ only in fields where any guess will do."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if {*one} - _FREE != {*other} - _FREE:
            return False
        return all(_alike(one[key], other[key]) for key in one if key not in _FREE)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_alike(first, second) for first, second in zip(one, other, strict=True))
    return bool(one == other)


def _not_asked(file: str, why: str) -> Fault:
    log.info("nomad could not judge a job file", file=file, why=why)
    return Fault(message=f"Nomad couldn't be asked about this job file: {why}", file=file, warning=True)
