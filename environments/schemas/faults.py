"""What a parameter's schema may not hold: references to outside of it, and patterns that can't be run."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from jsonschema.exceptions import UnknownType
from referencing.exceptions import Unresolvable

from environments.domain.errors import SchemaUnsupported
from environments.schemas.depth import DEEPEST, deeper_than
from environments.schemas.keywords import SchemaError, check_is_schema, validator_for
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
_PROBES: tuple[Any, ...] = (None, True, 0, 0.5, "", [], [[]], {}, {"a": 0})
"""A value of each type: trying them out finds references that lead nowhere and those that never end."""


class Unusable(NamedTuple):
    """A part of a schema that isn't run. `place`: where in the schema, such as `items.pattern`."""

    place: str
    keyword: str
    value: str
    reason: str
    suggestion: str = ""

    def __str__(self) -> str:
        hint = f"; {self.suggestion}" if self.suggestion else ""
        return f"{self.place}: {_short(self.value)} {self.reason}{hint}"


def unusable(schema: Mapping[str, Any]) -> Iterator[Unusable]:
    """References and patterns of one parameter's schema that aren't followed and run."""
    for place, part in _subschemas(schema):
        for keyword in ("$ref", "$dynamicRef"):
            target = part.get(keyword)
            if isinstance(target, str) and not target.startswith("#"):
                yield Unusable(
                    _at(place, keyword),
                    keyword,
                    target,
                    "is outside of this schema",
                    "put it below `$defs` of the parameter",
                )
        address = part.get("$id")
        if isinstance(address, str):
            yield Unusable(_at(place, "$id"), "$id", address, "would be where references lead to", "leave `$id` out")
        dialect = part.get("$schema")
        if isinstance(dialect, str) and dialect.removesuffix("#") != DIALECT:
            yield Unusable(_at(place, "$schema"), "$schema", dialect, f"is not {DIALECT}", "leave `$schema` out")
        found = [(_at(place, "pattern"), "pattern", part.get("pattern"))]
        named = part.get("patternProperties")
        if isinstance(named, Mapping):
            found += [(_at(place, "patternProperties"), "patternProperties", pattern) for pattern in named]
            if "unevaluatedProperties" in part:
                yield Unusable(
                    _at(place, "unevaluatedProperties"),
                    "unevaluatedProperties",
                    "unevaluatedProperties",
                    "can't stand beside patternProperties",
                    "use additionalProperties",
                )
        for where, keyword, pattern in found:
            if isinstance(pattern, str):
                try:
                    check_pattern(pattern)
                except UnusablePattern as error:
                    reason = f"is a pattern that can't be run ({error})"
                    yield Unusable(where, keyword, pattern, reason, error.suggestion)


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


def schema_faults(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the schema of a parameter, and with a default that it refuses, in words."""
    if deeper_than(schema, DEEPEST):
        yield f"parameters.{name}: it is nested deeper than {DEEPEST} levels"
        return
    try:
        json.dumps(schema, allow_nan=False)
        check_is_schema(schema)
    except SchemaError as error:
        yield f"parameters.{name}: {_short(error.message, 300)}"
        return
    except RecursionError:
        yield f"parameters.{name}: it is nested too deeply"
        return
    except (TypeError, ValueError):
        yield f"parameters.{name}: it holds a value that JSON doesn't have, such as a date, inf or nan"
        return
    faults = list(islice(unusable(schema), 20))
    yield from (f"parameters.{name}.{fault}" for fault in faults)
    if schema.get("type") is None and "enum" not in schema and "const" not in schema:
        yield f"parameters.{name}: a type is missing"
    if "default" in schema and schema.get("writeOnly") is True:
        yield f"parameters.{name}: a secret can't have a default"
    if not faults:
        yield from (f"parameters.{name}: {fault}" for fault in _tried(schema))


def _tried(schema: Mapping[str, Any]) -> Iterator[str]:
    validator = validator_for(schema)
    try:
        for probe in _PROBES:
            list(islice(validator.iter_errors(probe), 20))
        if "default" in schema:
            for wrong in islice(validator.iter_errors(schema["default"]), 20):
                yield f"the default doesn't fit: {_short(wrong.message, 300)}"
    except RecursionError:
        yield ENDLESS
    except Unresolvable as error:
        yield leads_nowhere(error)
    except UnusablePattern as error:
        yield f"the pattern {_short(error.pattern)} can't be run ({error})"
    except BROKEN:
        yield NO_SCHEMA


def leads_nowhere(error: Unresolvable) -> str:
    """What an unresolvable reference is called."""
    return f"the reference {_short(str(error.ref))} leads nowhere in it"


def _subschemas(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every schema inside of a schema, with its place; not what only looks like one, such as a default."""
    waiting: list[tuple[str, Any]] = [("", schema)]
    while waiting:
        place, part = waiting.pop()
        if not isinstance(part, Mapping):
            continue
        yield place, part
        for keyword, value in part.items():
            here = _at(place, keyword)
            if keyword in _NAMED and isinstance(value, Mapping):
                waiting += [(_at(here, name), inner) for name, inner in value.items()]
            elif keyword in _LISTED and isinstance(value, list):
                waiting += [(f"{here}[{index}]", inner) for index, inner in enumerate(value)]
            elif keyword in _ONE:
                waiting.append((here, value))


def _at(place: str, part: str) -> str:
    return f"{place}.{part}"[:200] if place else part[:200]


def _short(text: str, longest: int = 80) -> str:
    shown = repr(text) if longest == 80 else text
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
