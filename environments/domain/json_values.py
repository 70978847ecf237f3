"""JSON as everybody reads it: no NaN, no number that a float can't hold, no halves of characters or keys twice.

Whatever takes values from outside uses this: bodies of requests, files, arguments of commands, what programs answer.
"""

import json
import math
import sys
from collections.abc import Mapping
from typing import Any

DEEPEST = 64
"""Levels of a value of somebody."""

LARGEST = int(sys.float_info.max)
"""The largest whole number: JSON doesn't limit them, but many readers have floats only (RFC 8259, 6)."""

_MOST_DIGITS = len(str(LARGEST))

_PLAIN = frozenset({str, int, float, bool, type(None)})
"""Types of values that hold no others."""

TOO_LARGE = "a number is larger than any that can be stored"
TOO_SMALL = "a number is closer to zero than any that can be stored"
TOO_DEEP = "it is nested too deeply"
KEY_TWICE = "an object in it has the same key twice"
HALF_CHARACTER = "it holds half a character (an unpaired surrogate)"


def parse_json(text: str | bytes, deepest: int = DEEPEST) -> Any:
    """The value that a text is. Raises `ValueError` with a reason in words, which repeats nothing of the text."""
    plain = text if isinstance(text, str) else decode(text)
    try:
        value = json.loads(
            plain, parse_constant=_refuse, parse_float=parse_float, parse_int=parse_int, object_pairs_hook=_object
        )
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    if deeper_than(value, deepest):
        raise ValueError(TOO_DEEP)
    if "\\u" in plain or not is_text(plain):
        check_characters(value)
    return value


def decode(content: bytes) -> str:
    """UTF-8 as text. Raises `ValueError`: a reader that is less strict finds characters in it that can't be stored."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (at byte {error.start})") from None
    if "\0" in text:
        raise ValueError("it is not UTF-8: it holds bytes of zeros, as UTF-16 and UTF-32 do")
    return text


def parse_float(text: str) -> float:
    """A number. Raises `ValueError` for one that would become infinite, or nothing."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(TOO_LARGE)
    if number == 0 and any(digit in "123456789" for digit in text.lower().partition("e")[0]):
        raise ValueError(TOO_SMALL)
    return number


def parse_int(text: str) -> int:
    """A whole number. Raises `ValueError` for one that no float is as large as."""
    if len(text.lstrip("+-0")) > _MOST_DIGITS or abs(number := int(text)) > LARGEST:
        raise ValueError(TOO_LARGE)
    return number


def check_numbers(value: Any) -> None:
    """Raises `ValueError` for a value with a number in it that JSON doesn't have, or not everybody can read."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            waiting += [*part, *part.values()]
        elif isinstance(part, list | tuple):
            waiting += part
        elif isinstance(part, float) and not math.isfinite(part):
            raise ValueError("a number is infinite, or none at all")
        elif isinstance(part, int) and abs(part) > LARGEST:
            raise ValueError(TOO_LARGE)


def as_floats(value: Any) -> Any:
    """The value as a reader has it for whom every number is a float of 64 bits: 1.0 is 1, 2^53 + 1 is 2^53."""
    if isinstance(value, Mapping):
        return {name: as_floats(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [as_floats(part) for part in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
        return int(number) if number.is_integer() else number
    return value


def fits_floats(value: Any) -> bool:
    """Whether such a reader has every whole number in it exactly."""
    if isinstance(value, Mapping):
        return all(map(fits_floats, value.values()))
    if isinstance(value, list | tuple):
        return all(map(fits_floats, value))
    return not isinstance(value, int) or int(float(value)) == value


def check_characters(value: Any) -> None:
    """Raises `ValueError` for a JSON value with half a character in a text or a name."""
    if not is_text(json.dumps(value, ensure_ascii=False)):
        raise ValueError(HALF_CHARACTER)


def is_text(text: str) -> bool:
    """Whether it can be written as UTF-8. Arguments of a command that aren't UTF-8 come with halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same, their types too: Python takes True for equal to 1.

    JSON has one type of numbers (RFC 8259, 6), and stores write 1.0 as 1: those two are the same.
    """
    return json.dumps(_one_type_of_numbers(one), sort_keys=True) == json.dumps(
        _one_type_of_numbers(other), sort_keys=True
    )


def _one_type_of_numbers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _one_type_of_numbers(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_one_type_of_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def deeper_than(value: Any, most: int) -> bool:
    """Whether lists and objects in a value are nested deeper than that."""
    level = [value]
    for _ in range(most):
        # Most parts are texts and numbers, for which looking at the type is much faster.
        parts = [part for part in level if type(part) not in _PLAIN and isinstance(part, Mapping | list | tuple)]
        level = [inner for part in parts for inner in (part.values() if isinstance(part, Mapping) else part)]
        if not level:
            return False
    return any(isinstance(part, Mapping | list | tuple) for part in level)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Raises `ValueError` where readers differ about which of two values counts (RFC 8259, 4)."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError(KEY_TWICE)
    return made


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a value of JSON")
