"""What is wrong with a template: everything that can be found without running anything."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from environments.domain.errors import InvalidTemplate
from environments.domain.flags import flag_fault
from environments.domain.names import META
from environments.domain.template import TEMPLATE_FILE, Bundle, Template
from environments.schemas.faults import schema_faults
from environments.service.calendar import fault as calendar_fault
from environments.service.rendering import fault
from environments.service.secret_outputs import option_faults, output_faults

LONGEST_TEMPLATE = 256 * 1024
"""Bytes of `template.toml`."""

MOST_STEPS = 200
MOST_FILES = 2000
LONGEST_PATH = 255
"""Characters."""

_MOST_PROBLEMS = 100
_LONGEST_PROBLEM = 600

_ONLY_META = frozenset({"agent.local", "cluster.trust"})
"""Step kinds that act on the service's own machine and on the cluster as a whole."""


class StepKind(Protocol):
    """What checking a template needs of an executor."""

    def check(self, options: Mapping[str, Any], bundle: Bundle) -> list[str]:
        """Faults in a step's options that can be seen before it runs."""
        ...


def template_faults(
    bundle: Bundle, kinds: Mapping[str, StepKind], note: Callable[[str], None] = lambda place: None
) -> list[str]:
    """Every fault, in words; none: the template is valid. `note` is told of each part before its turn."""
    found: list[str] = []
    for problem in _faults(bundle, kinds, note):
        if len(found) == _MOST_PROBLEMS:
            found.append("and more")
            break
        found.append(problem if len(problem) <= _LONGEST_PROBLEM else f"{problem[: _LONGEST_PROBLEM - 1]}…")
    return found


def _faults(bundle: Bundle, kinds: Mapping[str, StepKind], note: Callable[[str], None]) -> Iterator[str]:
    note("the files of the template")
    size_faults = list(_size_faults(bundle))
    yield from size_faults
    if size_faults:
        return
    note(TEMPLATE_FILE)
    try:
        template = bundle.template()
    except InvalidTemplate as error:
        yield from error.details.get("problems") or [error.message]
        return
    if len(template.steps) > MOST_STEPS:
        yield f"there are {len(template.steps)} steps; {MOST_STEPS} is the most"
        return
    for name, schema in template.parameters.items():
        note(f"parameter {name!r}")
        if (taken := flag_fault(name)) is not None:
            yield taken
        yield from schema_faults(name, schema)
    note("drift.schedule")
    calendar = calendar_fault(template.drift)
    if calendar:
        yield calendar
    yield from _step_faults(template, bundle, kinds, note)
    for name, output in template.outputs.items():
        note(f"output {name!r}")
        wrong = fault(output.value)
        if wrong:
            yield f"output {name!r}: {wrong}"
    yield from output_faults(template)


def _size_faults(bundle: Bundle) -> Iterator[str]:
    size = len(bundle.files.get(TEMPLATE_FILE, b""))
    if size > LONGEST_TEMPLATE:
        yield f"{TEMPLATE_FILE} has {size} bytes; {LONGEST_TEMPLATE} is the most"
    if len(bundle.files) > MOST_FILES:
        yield f"the template has {len(bundle.files)} files; {MOST_FILES} is the most"
    for path in bundle.files:
        if len(path) > LONGEST_PATH or not path.isprintable():
            yield f"the path {path[:80]!r} is too long, or holds what can't be printed"


def _step_faults(
    template: Template, bundle: Bundle, kinds: Mapping[str, StepKind], note: Callable[[str], None]
) -> Iterator[str]:
    for step in template.steps:
        note(f"step {step.name!r}")
        kind = kinds.get(step.uses)
        if kind is None:
            yield f"step {step.name!r} uses {step.uses!r}, which is no step kind ({', '.join(sorted(kinds))})"
            continue
        if step.uses in _ONLY_META and template.name != META:
            yield f"step {step.name!r} uses {step.uses!r}, which only the template {META!r} may"
        if not _is_json(step.options):
            yield f"step {step.name!r}: with: it holds a value that JSON doesn't have, such as a date, inf or nan"
            continue
        yield from (f"step {step.name!r}: {problem}" for problem in kind.check(step.options, bundle))
        yield from (f"step {step.name!r}: {problem}" for problem in _expression_faults(step.options))
        yield from (f"step {step.name!r}: {problem}" for problem in option_faults(template, step.options))


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _expression_faults(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        found = fault(value)
        if found:
            yield f"in {value!r}: {found}"
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _expression_faults(part)
    elif isinstance(value, list):
        for part in value:
            yield from _expression_faults(part)
