"""Checks whether a value fits the declared type of an HCL variable, as far as both are known.

HCL converts numbers and booleans to strings, and strings to numbers and booleans if they have that form ("Type
Conversions and Unification" of its specification).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from environments.steps.hcl.tokens import Kind
from environments.steps.hcl.tree import Block

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_LISTS = frozenset({"list", "set", "tuple"})
_TABLES = frozenset({"map", "object"})
_PLAIN = frozenset({"string", "number", "bool"})
TYPE_WORDS = _LISTS | _TABLES | _PLAIN
_EXAMPLES = {"object": "{ name = string }", "tuple": "[string]", **dict.fromkeys(("list", "set", "map"), "string")}

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


def type_fault(variable: Block) -> str | None:
    """Why Nomad refuses the type of a `variable` block, which must be exact."""
    attribute = variable.body.attribute("type")
    tokens = [] if attribute is None else [token for token in attribute.tokens if token.kind is not Kind.LINE]
    if tokens and tokens[0].kind is Kind.OPEN:
        return "the type is written without quotes"
    for number, token in enumerate(tokens):
        after = tokens[number + 1].text if number + 1 < len(tokens) else ""
        if token.kind is not Kind.WORD or after in ("=", ":"):
            continue  # the name of a part
        if token.text in ("any", "optional"):
            return f"a variable can't have the type {token.text!r} in Nomad: it must be exact"
        if token.text in _LISTS | _TABLES and after != "(":
            return f"behind {token.text!r} there must be what it holds, such as {token.text}({_EXAMPLES[token.text]})"
        if token.text not in TYPE_WORDS:
            return f"there is no type {token.text!r}"
    return None


def default_fits(variable: Block) -> bool:
    """Whether a literal default can be of the type of its variable."""
    default = variable.body.attribute("default")
    kind = declared_type(variable)
    if default is None or not kind:
        return True
    if default.text is not None:
        return fits(kind, default.text)
    if default.word is not None:
        words = {"true": True, "false": False}
        number = _NUMBER.fullmatch(default.word) is not None
        return fits(kind, 1) if number else default.word not in words or fits(kind, words[default.word])
    bracket = _bracket([token.text for token in default.tokens if token.kind is not Kind.LINE])
    return not bracket or fits(kind, [] if bracket == "[" else {})


def _bracket(texts: Sequence[str]) -> str:
    """The bracket that encloses all of the tokens; empty if there is none."""
    depth = 0
    for number, text in enumerate(texts):
        depth += (text in ("[", "{", "(", "${", "%{")) - (text in ("]", "}", ")"))
        if depth == 0:
            return texts[0] if number == len(texts) - 1 and texts[0] in ("[", "{") else ""
    return ""


def wanted(kind: tuple[str, ...]) -> str:
    """The type as people read it."""
    head = kind[0] if kind else "any"
    if head in _LISTS:
        return "a list"
    if head in _TABLES:
        return "a table"
    return {"string": "a text", "number": "a number", "bool": "true or false"}.get(head, "any value")


def fits(kind: tuple[str, ...], value: Any) -> bool:
    """Whether a JSON value from a template can be a variable of that type."""
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
        return isinstance(value, bool) or value in ("true", "false", "1", "0")
    return True


def schema_fits(kind: tuple[str, ...], schema: Mapping[str, Any]) -> bool:
    """Whether any value of a parameter with that JSON Schema can be one."""
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
    """The type of a parameter as people read it."""
    types = schema.get("type")
    names = types if isinstance(types, list) else [types]
    return " or ".join(_SCHEMA_TYPES.get(str(name), str(name)) for name in names)
