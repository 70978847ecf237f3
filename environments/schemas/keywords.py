"""A validator of draft 2020-12 that fetches nothing and matches patterns in linear time."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry

from environments.schemas.patterns import found

_NOTHING: Registry[Any] = Registry()
"""Knows no schema and retrieves none: a reference to outside of the schema can't be followed."""

TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")

_WORDS = (
    "$anchor $comment $defs $dynamicAnchor $dynamicRef $id $ref $schema $vocabulary additionalProperties allOf anyOf "
    "const contains contentEncoding contentMediaType contentSchema default definitions dependentRequired "
    "dependentSchemas deprecated description else enum examples exclusiveMaximum exclusiveMinimum format if items "
    "maxContains maximum maxItems maxLength maxProperties minContains minimum minItems minLength minProperties "
    "multipleOf not oneOf pattern patternProperties prefixItems properties propertyNames readOnly required then title "
    "type unevaluatedItems unevaluatedProperties uniqueItems writeOnly"
)
KEYWORDS = frozenset(_WORDS.split())
"""The keywords of draft 2020-12, and `definitions`, which its references may lead to."""

_NO_FORMATS = FormatChecker(formats=())
_library_multiple = Draft202012Validator.VALIDATORS["multipleOf"]


def validator_for(schema: Mapping[str, Any]) -> Validator:
    """A validator of values. Its errors come one by one (`iter_errors`); it may also raise `UnusablePattern`,
    `referencing.exceptions.Unresolvable` and `RecursionError`."""
    validator: Validator = _Checked(schema, registry=_NOTHING)
    return validator


def schema_errors(schema: Mapping[str, Any]) -> Iterator[SchemaError]:
    """Every place at which it is no JSON Schema of draft 2020-12, once each."""
    of_schemas = Draft202012Validator(Draft202012Validator.META_SCHEMA, format_checker=_NO_FORMATS)
    told: set[tuple[str | int, ...]] = set()
    for error in of_schemas.iter_errors(schema):
        place = tuple(error.absolute_path)
        if place not in told:
            told.add(place)
            yield SchemaError.create_from(error)


def _pattern(validator: Validator, pattern: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not found(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, Mapping):
        return
    for pattern, inner in patterns.items():
        for name, value in instance.items():
            if found(pattern, name):
                yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, Mapping):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    extra = [name for name in instance if name not in named and not any(found(one, name) for one in patterns)]
    if isinstance(wanted, Mapping):
        for name in extra:
            yield from validator.descend(instance[name], wanted, path=name)
    elif not wanted and extra:
        names = ", ".join(repr(name) for name in sorted(extra))
        yield ValidationError(f"Additional properties are not allowed ({names} {_were(extra)} unexpected)")


def _were(names: list[str]) -> str:
    return "was" if len(names) == 1 else "were"


def _multiple_of(validator: Any, divisor: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    try:
        yield from _library_multiple(validator, divisor, instance, schema)
    except (OverflowError, ValueError):
        # Numbers beyond those of a float, and infinite quotients of them.
        if (Fraction(instance) / Fraction(divisor)).denominator != 1:
            yield ValidationError(f"the number is not a multiple of {divisor}")


_Checked: Any = extend(  # type: ignore[no-untyped-call]  # the stubs lack the types of its parameters
    Draft202012Validator,
    {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "multipleOf": _multiple_of,
    },
)

__all__ = ["KEYWORDS", "TYPES", "SchemaError", "ValidationError", "schema_errors", "validator_for"]
