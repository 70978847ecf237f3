"""Which parameters cost so little to check that it need not be done in a process with limits."""

from collections.abc import Mapping
from typing import Any

_KEYWORDS = frozenset(
    {
        "const",
        "default",
        "deprecated",
        "description",
        "enum",
        "examples",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maximum",
        "maxLength",
        "minimum",
        "minLength",
        "readOnly",
        "title",
        "type",
        "writeOnly",
    }
)
"""Keywords that read a value once; `pattern` is not among them, because its automaton must be built first."""

_MOST = 200
_LONGEST = 64 * 1024
_LARGEST = 10**30


def is_plain(schemas: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> bool:
    """Whether the number of values is small, and each schema reads each value once."""
    if len(schemas) > _MOST or len(given) > _MOST:
        return False
    return all(map(_plain_schema, schemas.values())) and all(map(_plain_value, given.values()))


def _plain_schema(schema: Mapping[str, Any]) -> bool:
    choices = schema.get("enum", ())
    return (
        schema.keys() <= _KEYWORDS
        and isinstance(schema.get("type", ""), str)
        and isinstance(choices, list | tuple)
        and len(choices) <= _MOST
        and all(map(_plain_value, choices))
        and _plain_value(schema.get("const"))
        and _plain_value(schema.get("default"))
    )


def _plain_value(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST
    return value is None or (isinstance(value, bool | int | float) and -_LARGEST < value < _LARGEST)
