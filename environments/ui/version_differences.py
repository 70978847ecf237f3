"""What differs between two versions of a template: parameters, steps, lifetime."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from environments.domain.json_values import same
from environments.wire.templates import TemplateView
from environments.words import Sign, shown

_LONGEST = 120

NEW, CHANGED, GONE = Sign("+", "new", "good"), Sign("~", "changed", "warn"), Sign("-", "gone", "bad")
"""What became of a parameter, a step or a file."""


@dataclass(frozen=True)
class Difference:
    """One thing that is new, changed or gone: `parameter replicas`, and in words how."""

    sign: Sign
    what: str
    how: str = ""


def differences(before: TemplateView, after: TemplateView) -> list[Difference]:
    """What `after` has that `before` hasn't, and the other way round."""
    return [*_parameters(before, after), *_steps(before, after), *_lifetimes(before, after)]


def _parameters(before: TemplateView, after: TemplateView) -> Iterator[Difference]:
    old, new = _properties(before), _properties(after)
    for name in sorted(old.keys() | new.keys()):
        what = f"parameter {name}"
        if name not in old:
            yield Difference(NEW, what, _default_of(new[name]))
        elif name not in new:
            yield Difference(GONE, what)
        elif not same(old[name], new[name]):
            yield Difference(CHANGED, what, "; ".join(_keywords(old[name], new[name])))


def _keywords(old: Any, new: Any) -> Iterator[str]:
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return
    for keyword in sorted(old.keys() | new.keys()):
        one, other = old.get(keyword), new.get(keyword)
        if keyword not in old:
            yield f"{keyword}: {_short(other)}"
        elif keyword not in new:
            yield f"no {keyword} any more"
        elif not same(one, other):
            yield f"{keyword}: {_short(one)} → {_short(other)}"


def _steps(before: TemplateView, after: TemplateView) -> Iterator[Difference]:
    old, new = ({step.name: step for step in one.steps} for one in (before, after))
    for name, step in new.items():
        if name not in old:
            yield Difference(NEW, f"step {name}", step.uses)
        elif old[name].uses != step.uses:
            yield Difference(CHANGED, f"step {name}", f"{old[name].uses} → {step.uses}")
        elif tuple(old[name].needs) != tuple(step.needs):
            needs = f"needs {_list(old[name].needs)} → {_list(step.needs)}"
            yield Difference(CHANGED, f"step {name}", needs)
    for name in old.keys() - new.keys():
        yield Difference(GONE, f"step {name}", "what it made will be destroyed")


def _lifetimes(before: TemplateView, after: TemplateView) -> Iterator[Difference]:
    for field, what in {"default_lifetime": "default lifetime", "maximum_lifetime": "maximum lifetime"}.items():
        old, new = getattr(before, field), getattr(after, field)
        if old != new:
            yield Difference(CHANGED, what, f"{_hours(old)} → {_hours(new)}")


def _properties(template: TemplateView) -> Mapping[str, Any]:
    found = template.parameters_schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _default_of(schema: Any) -> str:
    if isinstance(schema, Mapping) and "default" in schema and schema.get("writeOnly") is not True:
        return f"default: {_short(schema['default'])}"
    return "it needs a value"


def _short(value: Any) -> str:
    text = shown(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"


def _hours(seconds: float | None) -> str:
    return "none" if seconds is None else f"{seconds / 3600:g}h"
