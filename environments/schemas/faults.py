"""What a parameter's schema may not hold: references to outside of it, and patterns that can't be run."""

import math
from collections.abc import Iterator, Mapping
from datetime import date, time
from itertools import islice
from typing import Any, NamedTuple

from jsonschema.exceptions import UnknownType
from referencing.exceptions import Unresolvable

from environments.domain.errors import SchemaUnsupported
from environments.domain.faults import Fault, Path, meant, shown
from environments.domain.json_values import LARGEST, TOO_LARGE
from environments.schemas.depth import DEEPEST, deeper_than
from environments.schemas.keywords import KEYWORDS, TYPES, SchemaError, schema_errors, validator_for
from environments.schemas.patterns import UnusablePattern, check_pattern

DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""The only `$schema` that a parameter may name; it names what holds anyway."""

BROKEN = (ArithmeticError, AttributeError, LookupError, TypeError, UnknownType, ValueError)
"""What a validator raises when a reference leads to something that is no schema."""

ENDLESS = "it refers to itself without end, or is nested too deeply"

NO_SCHEMA = "a reference in it leads to something that is no schema"

_ONE = frozenset(
    [
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    ]
)
_LISTED = frozenset(["allOf", "anyOf", "items", "oneOf", "prefixItems"])
_NAMED = frozenset(["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"])
_MOST = 20
"""Faults of one parameter that are told."""

_PROBES: tuple[Any, ...] = (None, True, 0, 0.5, "", [], [[]], {}, {"a": 0})
"""A value of each type: trying them out finds references that lead nowhere and those that never end."""


class Unusable(NamedTuple):
    """A part of a schema that isn't run. `path`: where in the schema, such as `("items", "pattern")`."""

    path: Path
    value: str
    reason: str
    suggestion: str = ""

    @property
    def keyword(self) -> str:
        """The keyword of the part."""
        return str(self.path[-1])

    @property
    def reason_in_words(self) -> str:
        """What is wrong with it, with its value."""
        return f"{_short(self.value)} {self.reason}"

    def __str__(self) -> str:
        hint = f"; {self.suggestion}" if self.suggestion else ""
        return f"{shown(self.path)}: {self.reason_in_words}{hint}"


def unusable(schema: Mapping[str, Any]) -> Iterator[Unusable]:
    """References and patterns of one parameter's schema that aren't followed and run."""
    for place, part in _subschemas(schema):
        for keyword in ("$ref", "$dynamicRef"):
            target = part.get(keyword)
            if isinstance(target, str) and not target.startswith("#"):
                yield Unusable(
                    (*place, keyword), target, "is outside of this schema", "put it below `$defs` of the parameter"
                )
        address = part.get("$id")
        if isinstance(address, str):
            yield Unusable((*place, "$id"), address, "would be where references lead to", "leave `$id` out")
        dialect = part.get("$schema")
        if isinstance(dialect, str) and dialect.removesuffix("#") != DIALECT:
            yield Unusable((*place, "$schema"), dialect, f"is not {DIALECT}", "leave `$schema` out")
        found = [((*place, "pattern"), part.get("pattern"))]
        named = part.get("patternProperties")
        if isinstance(named, Mapping):
            found += [((*place, "patternProperties"), pattern) for pattern in named]
            if "unevaluatedProperties" in part:
                yield Unusable(
                    (*place, "unevaluatedProperties"),
                    "unevaluatedProperties",
                    "can't stand beside patternProperties",
                    "use additionalProperties",
                )
        for where, pattern in found:
            if isinstance(pattern, str):
                try:
                    check_pattern(pattern)
                except UnusablePattern as error:
                    reason = f"is a pattern that can't be run ({error})"
                    yield Unusable(where, pattern, reason, error.suggestion)


def check_usable(template: str, parameters: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises `SchemaUnsupported` for the first parameter of a template whose schema can't be run as it is."""
    for name, schema in parameters.items():
        for fault in unusable(schema):
            raise unsupported(template, name, str(fault), fault.keyword, fault.value)


def unsupported(template: str, parameter: str, reason: str, keyword: str = "", value: str = "") -> SchemaUnsupported:
    """The error of a pushed template with a parameter whose schema can't be run."""
    return SchemaUnsupported(
        f"The schema of the parameter {parameter!r} of template {template!r} can't be used: {reason}.",
        details={"parameter": parameter, "keyword": keyword, "value": value[:1000]},
    )


def schema_faults(name: str, schema: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with the schema of a parameter, and with a default that it refuses."""
    for fault in islice(_schema_faults(schema), _MOST):
        where = shown(fault.path)
        yield fault.within(("parameters", name), f"parameters.{name}{'.' if where else ''}{where}: ")


def _schema_faults(schema: Mapping[str, Any]) -> Iterator[Fault]:
    if deeper_than(schema, DEEPEST):
        yield Fault(message=f"it is nested deeper than {DEEPEST} levels")
        return
    if other := [*islice(no_json(schema), _MOST)]:
        yield from other
        return
    try:
        wrong = [*islice(schema_errors(schema), _MOST)]
    except RecursionError:
        yield Fault(message="it is nested too deeply")
        return
    yield from (_meta_fault(error) for error in wrong)
    misspelt = [*islice(_misspelt(schema), _MOST)]
    yield from misspelt
    if wrong:
        return
    faults = [*islice(unusable(schema), _MOST)]
    yield from (Fault(path=fault.path, message=fault.reason_in_words, suggestion=fault.suggestion) for fault in faults)
    if schema.get("type") is None and "enum" not in schema and "const" not in schema and not misspelt:
        yield Fault(message="a type is missing")
    if "default" in schema and schema.get("writeOnly") is True:
        yield Fault(path=("default",), message="a secret can't have a default")
    if not faults:
        yield from _tried(schema)


def _meta_fault(error: SchemaError) -> Fault:
    """What the schema of schemas says."""
    path = tuple(error.absolute_path)
    value = error.instance
    if path and path[-1] == "type" and isinstance(value, str):
        return Fault(path=path, message=f"there is no type {_short(value)}", suggestion=meant(value, TYPES))
    if path and path[-1] == "type" and isinstance(value, list):
        wrong = next((one for one in value if one not in TYPES), None)
        if isinstance(wrong, str):
            return Fault(path=path, message=f"there is no type {_short(wrong)}", suggestion=meant(wrong, TYPES))
    return Fault(path=path, message=_in_words(error) or _short(error.message, 300))


_TYPE_WORDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}


def _in_words(error: SchemaError) -> str:
    """What a keyword's value must be; empty where only the library can say it."""
    wanted: Any = error.validator_value
    value = _short(repr(error.instance), 81)
    if error.validator == "type":
        names = [wanted] if isinstance(wanted, str) else list(wanted)
        return f"it must be {' or '.join(_TYPE_WORDS[name] for name in names)}, not {value}"
    limits = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}
    if error.validator in limits:
        return f"it must be {limits[str(error.validator)]} {wanted}, not {value}"
    if error.validator == "minItems":
        return f"it must have at least {wanted} entr{'y' if wanted == 1 else 'ies'}"
    return "it names something twice" if error.validator == "uniqueItems" else ""


def _misspelt(schema: Mapping[str, Any]) -> Iterator[Fault]:
    """Keywords that there aren't: JSON Schema would say nothing of them and check nothing."""
    for place, part in _subschemas(schema):
        for keyword in part:
            if keyword in KEYWORDS or keyword.startswith("x-"):
                continue
            suggestion = meant(keyword, KEYWORDS)
            message = f"{_short(keyword)} is no keyword of JSON Schema{'' if suggestion else ', so it checks nothing'}"
            yield Fault(path=(*place, keyword), message=message, suggestion=suggestion, warning=not suggestion)


def no_json(value: Any) -> Iterator[Fault]:
    """Values of TOML that JSON doesn't have, each with its path in the value."""
    waiting: list[tuple[Path, Any]] = [((), value)]
    while waiting:
        path, part = waiting.pop()
        if isinstance(part, Mapping):
            waiting += [((*path, str(key)), inner) for key, inner in reversed([*part.items()])]
        elif isinstance(part, list):
            waiting += [((*path, number), part[number]) for number in reversed(range(len(part)))]
        elif isinstance(part, float) and not math.isfinite(part):
            yield Fault(path=path, message=f"{part} is a number that JSON doesn't have")
        elif isinstance(part, int) and abs(part) > LARGEST:
            yield Fault(path=path, message=TOO_LARGE)
        elif isinstance(part, date | time):
            message = f"{part.isoformat()} is a date or a time, which JSON doesn't have"
            yield Fault(path=path, message=message, suggestion=f'write it as a text: "{part.isoformat()}"')


def _tried(schema: Mapping[str, Any]) -> Iterator[Fault]:
    validator = validator_for(schema)
    try:
        for probe in _PROBES:
            list(islice(validator.iter_errors(probe), 20))
        if "default" in schema:
            for wrong in islice(validator.iter_errors(schema["default"]), 20):
                path = ("default", *wrong.absolute_path)
                yield Fault(path=path, message=f"the default doesn't fit: {_short(wrong.message, 300)}")
    except RecursionError:
        yield Fault(message=ENDLESS)
    except Unresolvable as error:
        yield Fault(message=leads_nowhere(error))
    except UnusablePattern as error:
        yield Fault(message=f"the pattern {_short(error.pattern)} can't be run ({error})")
    except BROKEN:
        yield Fault(message=NO_SCHEMA)


def leads_nowhere(error: Unresolvable) -> str:
    """What an unresolvable reference is called."""
    return f"the reference {_short(str(error.ref))} leads nowhere in it"


def _subschemas(schema: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Every schema inside of a schema, with its place; not what only looks like one, such as a default."""
    waiting: list[tuple[Path, Any]] = [((), schema)]
    while waiting:
        place, part = waiting.pop()
        if not isinstance(part, Mapping):
            continue
        yield place, part
        for keyword, value in part.items():
            here = (*place, keyword)
            if keyword in _NAMED and isinstance(value, Mapping):
                waiting += [((*here, name), inner) for name, inner in value.items()]
            elif keyword in _LISTED and isinstance(value, list):
                waiting += [((*here, index), inner) for index, inner in enumerate(value)]
            elif keyword in _ONE:
                waiting.append((here, value))


def _short(text: str, longest: int = 80) -> str:
    shown = repr(text) if longest == 80 else text
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
