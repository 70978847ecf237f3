"""What pydantic finds wrong with a value, in our words: its own sentences reach nobody."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from environments.domain.faults import Path, meant

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_LIST = "it must be a list"
_TEXT = "it must be a text"
_BOOL = "it must be true or false"
_WHOLE = "it must be a whole number"
_NUMBER = "it must be a number"
_MOMENT = 'it must be a moment such as "2030-01-31T12:00:00Z"'
_DURATION = 'it must be a duration such as "90s" or "2h"'

_WORDS = {
    "extra_forbidden": "there is no such key",
    "missing": "it is missing",
    "json_invalid": "it is no JSON",
    "tuple_type": _LIST,
    "list_type": _LIST,
    "string_type": _TEXT,
    "string_unicode": _TEXT,
    "bool_type": _BOOL,
    "bool_parsing": _BOOL,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": "the number is too large",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "datetime_type": _MOMENT,
    "datetime_parsing": _MOMENT,
    "datetime_from_date_parsing": _MOMENT,
    "datetime_object_invalid": _MOMENT,
    "timezone_aware": f"it has no time zone: {_MOMENT}",
    "time_delta_type": _DURATION,
    "time_delta_parsing": _DURATION,
    "greater_than_equal": "it must be at least {ge}",
    "greater_than": "it must be more than {gt}",
    "less_than_equal": "it must be at most {le}",
    "less_than": "it must be less than {lt}",
    "string_too_short": "it must have at least {min_length} characters",
    "string_too_long": "it must have at most {max_length} characters",
    "string_pattern_mismatch": "it doesn't match the pattern {pattern}",
    "too_short": "it must have at least {min_length} entries",
    "too_long": "it must have at most {max_length} entries",
    "enum": "it must be {expected}",
    "literal_error": "it must be {expected}",
}
_TABLES = ("dict_type", "model_type", "model_attributes_type", "mapping_type")
_SHOULD = re.compile(r"^\w+ should ")
_ONE = re.compile(r"(at (?:least|most) 1) (?:characters|entries)$")


def reason(fault: "ErrorDetails | Mapping[str, Any]", table: str = "a table") -> str:
    """What is wrong, without its place and without the value. `table`: what its author calls such a thing."""
    kind, context = fault["type"], fault.get("ctx") or {}
    if kind in _TABLES:
        return f"it must be {table}"
    if kind in _WORDS:
        try:
            said = _WORDS[kind].format(**context)
        except (KeyError, IndexError):
            said = ""
        if said:
            return _ONE.sub(lambda found: f"{found[1]} {'character' if 'char' in found[0] else 'entry'}", said)
    told = _SHOULD.sub("it must ", str(fault["msg"]).removeprefix("Value error, "))
    return f"{told[:1].lower()}{told[1:]}"


def choice(fault: "ErrorDetails | Mapping[str, Any]") -> str:
    """The choice that was probably meant."""
    given, expected = fault.get("input"), (fault.get("ctx") or {}).get("expected")
    if fault["type"] not in ("enum", "literal_error") or not isinstance(given, str) or not isinstance(expected, str):
        return ""
    return meant(given, [part.strip("' ") for part in expected.replace(" or ", ",").split(",")])


_CHOICES = {"str": "a text", "int": "a number", "float": "a number", "bool": "true or false"}


def one_each(found: "Iterable[ErrorDetails]") -> "Iterator[ErrorDetails]":
    """Faults of which none says of a value that may be of several types that it is none of each."""
    faults = list(found)
    groups: dict[Path, list[ErrorDetails]] = {}
    for fault in faults:
        if fault["loc"] and fault["loc"][-1] in _CHOICES and not isinstance(fault.get("input"), Mapping):
            groups.setdefault(fault["loc"][:-1], []).append(fault)
    for fault in faults:
        place = fault["loc"][:-1]
        group = groups.get(place, [])
        if len(group) < 2 or fault not in group:
            yield fault
        elif fault is group[0]:
            *most, last = dict.fromkeys(_CHOICES[str(one["loc"][-1])] for one in group)
            choices = f"{', '.join(most)}{',' * (len(most) > 1)} or {last}" if most else last
            yield {**fault, "type": "union", "loc": place, "msg": f"it must be {choices}"}
