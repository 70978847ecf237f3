"""Whether a value fits the type that a variable of an HCL file declares, as far as both are known.

HCL converts numbers and booleans to texts, and texts to numbers and booleans if they read as such ("Type
Conversions and Unification" of its specification).
"""

import re
from collections.abc import Mapping
from typing import Any

from environments.executors.hcl_tokens import Kind
from environments.executors.hcl_tree import Block

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_LISTS = frozenset({"list", "set", "tuple"})
_TABLES = frozenset({"map", "object"})

_SCHEMA_TYPES = {
    "string": "a text",
    "integer": "a number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a table",
}


def declared_type(variable: Block) -> tuple[str, ...]:
    """The words of the type of a `variable` block, outermost first, such as `("list", "string")`; empty: any type."""
    attribute = variable.body.attribute("type")
    if attribute is None:
        return ()
    return tuple(token.text for token in attribute.tokens if token.kind is Kind.WORD)


def wanted(kind: tuple[str, ...]) -> str:
    """The type for people."""
    head = kind[0] if kind else "any"
    if head in _LISTS:
        return "a list"
    if head in _TABLES:
        return "a table"
    return {"string": "a text", "number": "a number", "bool": "true or false"}.get(head, "any value")


def fits(kind: tuple[str, ...], value: Any) -> bool:
    """Whether a JSON value, as it stands in a template, can be a variable of that type."""
    head = kind[0] if kind else "any"
    if value is None:
        return True
    if head in _LISTS:
        inner = kind[1:] if head in ("list", "set") else ()
        return isinstance(value, list) and all(fits(inner, part) for part in value)
    if head in _TABLES:
        inner = kind[1:] if head == "map" else ()
        return isinstance(value, Mapping) and all(fits(inner, part) for part in value.values())
    if head == "string":
        return isinstance(value, str | int | float)
    if head == "number":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number or (isinstance(value, str) and _NUMBER.fullmatch(value) is not None)
    if head == "bool":
        return isinstance(value, bool) or value in ("true", "false")
    return True


def schema_fits(kind: tuple[str, ...], schema: Mapping[str, Any]) -> bool:
    """Whether some value of a parameter with that JSON Schema can be."""
    types = schema.get("type")
    names = types if isinstance(types, list) else [types]
    head = kind[0] if kind else "any"
    if not all(isinstance(name, str) and name in {*_SCHEMA_TYPES, "null"} for name in names):
        return True
    allowed = {
        "string": {"string", "integer", "number", "boolean"},
        "number": {"integer", "number", "string"},
        "bool": {"boolean", "string"},
        **{name: {"array"} for name in _LISTS},
        **{name: {"object"} for name in _TABLES},
    }.get(head)
    return allowed is None or "null" in names or bool(allowed & set(names))


def told(schema: Mapping[str, Any]) -> str:
    """The type of a parameter for people."""
    types = schema.get("type")
    names = types if isinstance(types, list) else [types]
    return " or ".join(_SCHEMA_TYPES.get(str(name), str(name)) for name in names)
