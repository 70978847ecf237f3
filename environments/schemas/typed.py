"""A value that somebody types, read as the type that a parameter's JSON Schema wants; one set of rules for all forms.

- `string`: the text as it is, whatever it looks like.
- `integer`, `number`: a number; `boolean`: true, yes, on, 1 or their opposites; `array`, `object`, `null`: JSON.
- `enum`, `const`: the value that is written so.
- Several types with `string` among them, or none named: a value of another type only if the text is exactly how JSON
  writes that value, so that `5` is a number and `1.10`, which as a number would lose its zero, stays a text. A text
  that looks like another type is written as JSON, in quotes: `"5"`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from environments.domain.json_values import TOO_LARGE, is_text, parse_float, parse_int, parse_json, same

TRUE = frozenset({"true", "yes", "on", "1"})
FALSE = frozenset({"false", "no", "off", "0"})
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_EVERY = ("null", "boolean", "integer", "number", "string", "array", "object")
_TRIED = ("null", "integer", "number", "boolean", "array", "object")
"""In this order: `1` is a number before it means yes."""

_NAMES = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list in JSON",
    "object": "an object in JSON",
    "null": "null",
}
_LONGEST_LIST = 200
"""Characters of the values that are named because none of them was given."""


class Unreadable(ValueError):
    """A text that is no value of the type that is wanted: `is not a whole number`. Never repeats the text."""


def read_typed(text: str, schema: Mapping[str, Any]) -> Any:
    """The value. Ranges and patterns are not checked. Raises `Unreadable`."""
    if not is_text(text):
        raise Unreadable("is not UTF-8 text")
    choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(choices, list | tuple) and choices:
        return _chosen(text, choices)
    kinds = types_of(schema)
    if "string" in kinds:
        return text if len(kinds) == 1 else _text_or_other(text, kinds)
    failures = []
    for kind in sorted(kinds, key=_TRIED.index):
        try:
            return _as(text.strip(), kind)
        except Unreadable as unreadable:
            failures.append(str(unreadable))
    if len(failures) == 1:
        raise Unreadable(failures[0])
    raise Unreadable(f"is not {' or '.join(_NAMES[kind] for kind in kinds)}")


def typed_text(value: Any, schema: Mapping[str, Any]) -> str:
    """What somebody has to type for a value, so that `read_typed` gives it."""
    written = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str):
        return written
    try:
        return value if same(read_typed(value, schema), value) else written
    except Unreadable:
        return written


def types_of(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The types that a schema names; every type where it names none."""
    named = schema.get("type", _EVERY)
    kinds = (named,) if isinstance(named, str) else tuple(named)
    return tuple(kind for kind in kinds if kind in _EVERY) or _EVERY


def _chosen(text: str, choices: Sequence[Any]) -> Any:
    """Exactly what is written first, then equal numbers: both `1.10` and 1.1 may be among the choices."""
    for choice in choices:
        if not isinstance(choice, str) and json.dumps(choice) == text:
            return choice
    if text in choices:
        return text
    try:
        value = parse_json(text)
    except ValueError:
        value = text
    for choice in choices:
        if same(choice, value) or (_is_number(choice) and _is_number(value) and choice == value):
            return choice
    listed = ", ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)
    raise Unreadable(f"is none of {listed if len(listed) <= _LONGEST_LIST else 'the values that it may have'}")


def _text_or_other(text: str, kinds: Sequence[str]) -> Any:
    try:
        value = parse_json(text)
    except ValueError:
        return text
    if isinstance(value, str):
        return value  # it was written in quotes
    if isinstance(value, list | dict):
        return value if _kind_of(value) in kinds else text
    fits = _kind_of(value) in kinds or (_is_number(value) and "number" in kinds)
    return value if fits and json.dumps(value) == text else text


def _as(text: str, kind: str) -> Any:
    if kind == "boolean":
        if text.lower() in TRUE | FALSE:
            return text.lower() in TRUE
        raise Unreadable("is neither true nor false")
    number = {"integer": _WHOLE, "number": _NUMBER}.get(kind)
    if number is not None:
        if not number.fullmatch(text):
            raise Unreadable(f"is not {_NAMES[kind]}")
        try:
            return parse_int(text) if _WHOLE.fullmatch(text) else parse_float(text)
        except ValueError as error:
            said = "is larger than any number" if str(error) == TOO_LARGE else "is closer to zero than any number"
            raise Unreadable(f"{said} that can be stored") from None
    try:
        value = parse_json(text)
    except ValueError as error:
        raise Unreadable(f"is not {_NAMES[kind]}: {error}") from None
    if _kind_of(value) != kind:
        raise Unreadable(f"is not {_NAMES[kind]}")
    return value


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds[type(value)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
