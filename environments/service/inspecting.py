"""Finds the faults of a template that can be found without running anything."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from environments.domain.errors import InvalidTemplate
from environments.domain.faults import Fault, Path, meant, shown
from environments.domain.flags import flag_fault
from environments.domain.names import META
from environments.domain.template import TEMPLATE_FILE, Bundle, read_template
from environments.domain.template_parts import Step, Template
from environments.domain.template_rules import is_filled
from environments.domain.toml_places import TomlPlaces
from environments.schemas.faults import no_json, schema_faults
from environments.service.cron import rule_fault, schedule_fault
from environments.service.expression_faults import constant, expression_faults
from environments.service.scopes import Scopes
from environments.service.secret_outputs import option_faults, output_faults

LONGEST_TEMPLATE = 256 * 1024
"""Bytes of `template.toml`."""

MOST_STEPS = 200
MOST_FILES = 2000
LONGEST_PATH = 255
"""Characters."""

_MOST_PROBLEMS = 100
_MOST_OTHER = 20

UNKNOWN = "{{ none }}"
"""Replaces an option whose fault is already reported: an expression, about which checks report nothing."""


class StepKind(Protocol):
    """The part of an executor that checking a template needs.

    A kind with the attribute `only_for_meta = True` acts on the service's own machine or on the cluster as a whole, and
    only the template `meta` may use it. A kind with a method `gives(options, bundle) -> Shape` says what the outputs of
    its steps are, as far as their raw options tell; nothing is known of others.
    """

    def check(self, options: Mapping[str, Any], bundle: Bundle) -> Sequence[Fault | str]:
        """Faults in a step's options that can be found before it runs. Their paths start at the step's table."""
        ...


class _Read(Bundle):
    """A bundle whose `template.toml` has been read as far as possible; it may have faults."""

    read: Template

    def template(self) -> Template:
        """The readable part of the template."""
        return self.read


def template_faults(
    bundle: Bundle,
    kinds: Mapping[str, StepKind],
    note: Callable[[str], None] = lambda place: None,
    images: Collection[str] | None = None,
) -> list[Fault]:
    """Every fault, sorted by its place. A template without faults, or with only warnings, is valid.

    `note` is called with each part before that part is checked. `images`: names of published images; None if unknown.
    """
    found: list[Fault] = []
    told: set[str] = set()
    for fault in _faults(bundle, kinds, note, images):
        if len(found) == _MOST_PROBLEMS:
            found.append(Fault(message="and more"))
            break
        if str(fault) not in told:
            told.add(str(fault))
            found.append(fault)
    ending = found.pop() if len(found) > _MOST_PROBLEMS else None
    return [*in_order(found), *([ending] if ending else [])]


def in_order(found: Iterable[Fault]) -> list[Fault]:
    """The faults sorted by their places, those of `template.toml` first."""
    return sorted(found, key=lambda fault: (fault.file != TEMPLATE_FILE, fault.file, fault.line or 0))


def _faults(
    bundle: Bundle, kinds: Mapping[str, StepKind], note: Callable[[str], None], images: Collection[str] | None
) -> Iterator[Fault]:
    note("the files of the template")
    size_faults = list(_size_faults(bundle))
    yield from size_faults
    if size_faults:
        return
    note(TEMPLATE_FILE)
    try:
        text = bundle.text(TEMPLATE_FILE)
    except InvalidTemplate as error:
        yield Fault(message=error.message.rstrip("."))
        return
    template, found = read_template(text)
    yield from found
    if template is None:
        return
    if len(template.steps) > MOST_STEPS:
        yield Fault(message=f"there are {len(template.steps)} steps; {MOST_STEPS} is the most")
        return
    places = TomlPlaces(text)
    read = _Read(files=bundle.files, read=template)
    for fault in _content_faults(template, read, kinds, Scopes(template, read, kinds, images), note):
        yield fault.at(places)


def _content_faults(
    template: Template, bundle: Bundle, kinds: Mapping[str, StepKind], names: Scopes, note: Callable[[str], None]
) -> Iterator[Fault]:
    for name, schema in template.parameters.items():
        note(f"parameter {name!r}")
        if (taken := flag_fault(name)) is not None:
            yield Fault(path=("parameters", name), message=taken)
        yield from schema_faults(name, schema)
    note("drift.schedule")
    if (schedule := schedule_fault(template.drift)) is not None:
        yield Fault(path=("drift", "schedule"), message=schedule)
    for action, number, rule in template.lifetime.rules():
        note(f"lifetime.{action.value}")
        if (wrong := rule_fault(rule)) is not None:
            yield Fault(path=("lifetime", action.value, number), message=f"lifetime.{action.value}: {wrong}")
    yield from _step_faults(template, bundle, kinds, names, note)
    for name, output in template.outputs.items():
        note(f"output {name!r}")
        path: Path = ("outputs", name, "value")
        for found in expression_faults(output.value, names.of_outputs()):
            message = f"output {name!r}: {found.message}"
            yield Fault(path=path, message=message, suggestion=found.suggestion, warning=found.warning)
    yield from output_faults(template)


def _size_faults(bundle: Bundle) -> Iterator[Fault]:
    size = len(bundle.files.get(TEMPLATE_FILE, b""))
    if size > LONGEST_TEMPLATE:
        yield Fault(message=f"{TEMPLATE_FILE} has {size} bytes; {LONGEST_TEMPLATE} is the most")
    if len(bundle.files) > MOST_FILES:
        yield Fault(message=f"the template has {len(bundle.files)} files; {MOST_FILES} is the most")
    for path in bundle.files:
        if len(path) > LONGEST_PATH or not path.isprintable():
            yield Fault(message=f"the path {path[:80]!r} is too long, or holds what can't be printed")


def _step_faults(
    template: Template,
    bundle: Bundle,
    kinds: Mapping[str, StepKind],
    names: Scopes,
    note: Callable[[str], None],
) -> Iterator[Fault]:
    claimed: dict[str, str] = {}
    for number, step in enumerate(template.steps):
        note(f"step {step.name!r}")
        path: Path = ("steps", number)
        before = f"step {number + 1 if is_filled(step.name) else repr(step.name)}: "
        kind = kinds.get(step.uses)
        if kind is None:
            if step.uses:
                message = f"{before[:-2]} uses {step.uses!r}, which is no step kind ({', '.join(sorted(kinds))})"
                yield Fault(path=(*path, "uses"), message=message, suggestion=meant(step.uses, kinds))
        elif getattr(kind, "only_for_meta", False) and template.name != META:
            message = f"{before[:-2]} uses {step.uses!r}, which only the template {META!r} may"
            yield Fault(path=(*path, "uses"), message=message)
        other = [fault.within(("with",), f"with.{shown(fault.path)}: ") for fault in no_json(step.options)]
        yield from (fault.within(path, before) for fault in other[:_MOST_OTHER])
        options = _folded(step.options)
        if kind is not None:
            for fault in kind.check(options, bundle):
                told = Fault(path=("with",), message=fault) if isinstance(fault, str) else fault
                yield told if told.file != TEMPLATE_FILE else told.within(path, before)
            yield from (fault.within(path, before) for fault in _claim_faults(kind, step, options, bundle, claimed))
        scope = names.of_step(step)
        for place, text in _texts(step.options, ("with",)):
            for wrong in expression_faults(text, scope):
                message = f"{shown(place)}: {wrong.message}"
                told = Fault(path=place, message=message, suggestion=wrong.suggestion, warning=wrong.warning)
                yield told.within(path, before)
        yield from (fault.within(path, before) for fault in option_faults(template, step.options))


def _claim_faults(
    kind: StepKind, step: Step, options: Mapping[str, Any], bundle: Bundle, claimed: dict[str, str]
) -> Iterator[Fault]:
    """A fault for each thing that the step and an earlier step both make.

    `claimed`: thing → name of the earlier step.
    """
    ask: Callable[[Mapping[str, Any], Bundle], Mapping[str, Path]] | None = getattr(kind, "claims", None)
    for thing, path in ask(options, bundle).items() if ask is not None else ():
        other = claimed.setdefault(thing, step.name)
        if other != step.name:
            yield Fault(path=path, message=f"{thing} is what step {other!r} makes; only one step can have it")


def _folded(value: Any) -> Any:
    """Options in which expressions without names are replaced by their values.

    A value that JSON doesn't have is replaced by `UNKNOWN`, because its fault is reported elsewhere.
    """
    if isinstance(value, str):
        known, found = constant(value)
        return found if known and isinstance(found, str | int | float | bool | list | dict) else value
    if isinstance(value, Mapping):
        return {key: _folded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_folded(part) for part in value]
    return UNKNOWN if next(no_json(value), None) is not None else value


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text of a step's options, with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _texts(part, (*path, str(key)))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _texts(part, (*path, number))
