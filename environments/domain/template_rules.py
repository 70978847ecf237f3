"""What rules alone say of a template: keys that there are, values that can be read, names, needs and lifetimes."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from environments.domain.errors import CalvinverseError
from environments.domain.faults import Fault, Path, fault_of, meant, shown
from environments.domain.names import META, SERVICE_VOLUMES, check_label
from environments.domain.preview import PreviewRule
from environments.domain.reasons import choice, reason
from environments.domain.suggesting import near
from environments.domain.trigger import Trigger
from environments.domain.trigger_rules import Place, trigger_faults

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from environments.domain.template_parts import Template

RESERVED_STEPS = frozenset({"shared", "proof"})
"""Names that the journal of a destroy uses: for the resources of the whole environment, and for the proof."""

_HEAD = ("name", "version", "description", "host_volumes", "network", "limit", "price")
_TABLES = ("template", "lifetime", "drift", "parameters", "steps", "outputs", "triggers", "preview")
_KEYS: dict[str, tuple[str, ...]] = {
    "template": _HEAD,
    "lifetime": ("default", "maximum", "destroy", "stop", "start", "warn", "extend"),
    "drift": ("schedule", "zone"),
    "steps": ("name", "uses", "needs", "with", "timeout", "on_failure", "retries"),
    "outputs": ("value", "description", "secret"),
    "triggers": tuple(info.alias or name for name, info in Trigger.model_fields.items()),
    "preview": tuple(PreviewRule.model_fields),
}
"""What may stand in the tables of a template, for suggestions."""


def unknown_keys(head: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[Fault]:
    """Keys of `[template]` and tables of the file that there aren't. `document`: the file without that table."""
    for name in document:
        if name not in _TABLES:
            where = "it belongs in [template]" if name in _HEAD else meant(name, _TABLES, written="[{}]")
            known = name in _HEAD
            message = f"{name} stands outside of [template]" if known else f"there is no table [{name}]"
            yield Fault(path=(name,), message=message, suggestion=where, warning=known)
    for name in head:
        if name not in _HEAD:
            known = name in _TABLES
            where = f"[{name}] is a table of its own" if known else meant(name, _HEAD)
            message = f"template.{name}: {'it stands inside of [template]' if known else 'there is no such key'}"
            yield Fault(path=("template", name), message=message, suggestion=where, warning=known)


def model_faults(error: "ValidationError", document: Mapping[str, Any], head: Mapping[str, Any]) -> Iterator[Fault]:
    """What can't be read, in words."""
    found = error.errors(include_url=False)
    misspelt = {_near_key(("template", name)) for name in head.keys() - set(_HEAD)}
    for fault in unmisspelt(found, lambda loc: _near_key(loc)):
        path: Path = tuple("with" if part == "options" else part for part in fault["loc"])
        if len(path) == 1 and (fault["type"] == "extra_forbidden" or path[0] in misspelt):
            continue  # told as unknown keys
        known: Path = ("template", *path) if path and path[0] in head and path[0] not in document else path
        if fault["type"] == "missing" and len(path) == 1:
            known = ("template", *path) if path[0] in _HEAD else path
        said = reason(fault, "a text or a table" if _output(fault) else "a table")
        yield Fault(
            path=known,
            message=f"{_place(known, document)}: {said.rstrip('.')}",
            suggestion=_suggestion(path) if fault["type"] == "extra_forbidden" else choice(fault),
        )


def _output(fault: "ErrorDetails") -> bool:
    """Whether it says that a whole output is no table."""
    return fault["type"] in ("model_type", "dict_type") and fault["loc"][:1] == ("outputs",) and len(fault["loc"]) == 2


def unmisspelt(found: "list[ErrorDetails]", meant_by: Callable[[Path], str | None]) -> "Iterator[ErrorDetails]":
    """Faults without keys that are only missing because they are misspelt."""
    misspelt = {(*fault["loc"][:-1], meant_by(fault["loc"])) for fault in found if fault["type"] == "extra_forbidden"}
    for fault in found:
        place = tuple("with" if part == "options" else part for part in fault["loc"])
        if fault["type"] != "missing" or place not in misspelt:
            yield fault


def without_faults(document: Mapping[str, Any], error: "ValidationError") -> dict[str, Any]:
    """A template's content without what can't be read; what it can't be without is filled in."""
    healed: dict[str, Any] = _copied(document)
    found = [
        (fault["type"], tuple("with" if part == "options" else part for part in fault["loc"]))
        for fault in error.errors(include_url=False)
    ]
    renamed = {path for kind, path in found if kind == "extra_forbidden" and _rename(healed, path)}
    for _, path in sorted(found, key=lambda pair: -len(pair[1])):
        if path not in renamed and not any(path == (*other[:-1], _near_key(other)) for other in renamed):
            _heal(healed, path)
    return healed


def rule_faults(template: "Template", *, quiet: bool = False) -> Iterator[Fault]:
    """Faults of a template that can be read. `quiet`: what may only be missing because of other faults isn't told."""
    yield from _named(template.name, "a template", ("template", "name"), quiet=quiet)
    if not template.steps and not quiet:
        yield Fault(path=("template",), message="there are no steps")
    yield from _step_names(template, quiet=quiet)
    names = [step.name for step in template.steps]
    for number, step in enumerate(template.steps):
        for place, need in enumerate(step.needs):
            if need not in names:
                yield Fault(
                    path=("steps", number, "needs", place),
                    message=f"step {step.name!r} needs {need!r}, which is no step",
                    suggestion=meant(need, [name for name in names if name != step.name]),
                )
    for number, volume in enumerate(template.host_volumes):
        path: Path = ("template", "host_volumes", number)
        yield from _named(volume, "a host volume", path)
        if volume in SERVICE_VOLUMES and template.name != META:
            message = f"the host volume {volume!r} holds the service's database; only the template {META!r} may have it"
            yield Fault(path=path, message=message)
    for name in template.parameters:
        if not name.isidentifier():
            message = f"the parameter {name!r} can't be used in expressions; use letters, digits and underscores"
            yield Fault(path=("parameters", name), message=message)
    default, maximum = template.lifetime.default, template.lifetime.maximum
    if default and maximum and default > maximum:
        yield Fault(path=("lifetime", "default"), message="lifetime.default is longer than lifetime.maximum")
    yield from _cycle(template)
    yield from _triggers(template)


def _triggers(template: "Template") -> Iterator[Fault]:
    seen: Counter[str] = Counter()
    for number, trigger in enumerate(template.triggers):
        yield from trigger_faults(trigger, Place.TEMPLATE, ("triggers", number), f"trigger {trigger.name!r}: ")
        seen[trigger.name] += 1
        if seen[trigger.name] == 2:
            yield Fault(path=("triggers", number, "name"), message=f"two triggers are named {trigger.name!r}")


def _step_names(template: "Template", *, quiet: bool) -> Iterator[Fault]:
    seen: Counter[str] = Counter()
    for number, step in enumerate(template.steps):
        path: Path = ("steps", number, "name")
        yield from _named(step.name, "a step", path, quiet=quiet)
        if step.name in RESERVED_STEPS:
            yield Fault(path=path, message=f"the step name {step.name!r} is reserved")
        seen[step.name] += 1
        if seen[step.name] == 2:
            yield Fault(path=path, message=f"two steps are named {step.name!r}")


def _named(name: str, what: str, path: Path, *, quiet: bool = False) -> Iterator[Fault]:
    if quiet and is_filled(name):
        return
    try:
        check_label(name, what)
    except CalvinverseError as error:
        yield fault_of(error, path)


def _cycle(template: "Template") -> Iterator[Fault]:
    names = {step.name for step in template.steps}
    try:
        tuple(TopologicalSorter({step.name: set(step.needs) & names for step in template.steps}).static_order())
    except CycleError as error:
        around = error.args[1]
        number = next(number for number, step in enumerate(template.steps) if step.name == around[0])
        yield Fault(
            path=("steps", number, "needs"), message=f"the steps form a cycle: {' needs '.join(reversed(around))}"
        )


def is_filled(name: str) -> bool:
    """Whether a name was filled in where none can be read."""
    return name.startswith(_FILLED)


def _place(path: Path, document: Mapping[str, Any]) -> str:
    """A place for people: `step 'app': retries`, `outputs.url.secret`."""
    if len(path) > 1 and path[0] == "steps" and isinstance(path[1], int):
        steps = document.get("steps")
        step = steps[path[1]] if isinstance(steps, list) and path[1] < len(steps) else None
        name = step.get("name") if isinstance(step, Mapping) else None
        what = f"step {name!r}" if isinstance(name, str) else f"step {path[1] + 1}"
        return f"{what}: {shown(path[2:])}" if path[2:] else what
    return shown(path)


def _suggestion(path: Path) -> str:
    known = _KEYS.get(str(path[0]), ())
    return meant(str(path[-1]), known)


_FILLED = "unnamed "
"""What the names begin with that are filled in: no name can."""

_WHOLE = ("triggers", "preview")
"""Tables that nothing else of a template refers to: with a fault in one of them all of it is left out."""

_NEEDED: dict[str, Any] = {"uses": "", "value": "", "steps": [], "with": {}}


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(part) for key, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def _near_key(path: Path) -> str | None:
    found = near(str(path[-1]), _KEYS.get(str(path[0]), ()), most=1)
    return found[0] if found else None


def _rename(document: Any, path: Path) -> bool:
    """Takes a misspelt key for the one that was meant, if that isn't there."""
    table, meant_key = document, _near_key(path)
    for part in path[:-1]:
        try:
            table = table[part]
        except (KeyError, IndexError, TypeError):
            return False
    if meant_key is None or not isinstance(table, dict) or meant_key in table or path[-1] not in table:
        return False
    table[meant_key] = table.pop(path[-1])
    return True


def _heal(document: Any, path: Path) -> None:
    if path[0] in _WHOLE:
        document.pop(path[0], None)
        return
    inner = document
    for depth, part in enumerate(path):
        last = depth == len(path) - 1
        if isinstance(inner, dict) and isinstance(part, str):
            if last or not isinstance(inner.get(part), dict | list):
                inner.pop(part, None)
                if part == "name":
                    inner[part] = (
                        f"{_FILLED}{'-'.join(str(piece) for piece in path[:-1] if isinstance(piece, int)) or 0}"
                    )
                elif part in _NEEDED:
                    inner[part] = _copied(_NEEDED[part])
                return
            inner = inner[part]
        elif isinstance(inner, list) and isinstance(part, int) and part < len(inner):
            if last or not isinstance(inner[part], dict | list):
                # A place stays, so that those behind it keep their numbers.
                inner[part] = {} if path[0] == "steps" and depth == 1 else ""
                return
            inner = inner[part]
        else:
            return
