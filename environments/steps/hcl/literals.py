"""Values as HCL literals, so that nothing in a value can become code."""

import math
import re
from collections.abc import Mapping
from typing import Any

from environments.domain.errors import InvalidJob

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = frozenset(" !#&'()*+,-./:;<=>?@[]^_`{|}~")


def assignments(variables: Mapping[str, Any]) -> str:
    """`name = value` lines as in a variables file. Raises `InvalidJob` for impossible names and values."""
    lines = []
    for name, value in variables.items():
        if not _NAME.fullmatch(name):
            raise InvalidJob(f"{name!r} can't be the name of a variable in a job file.")
        lines.append(f"{name} = {literal(value)}\n")
    return "".join(lines)


def literal(value: Any) -> str:
    """A JSON value as an HCL expression without references, functions or templates. Raises `InvalidJob`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidJob("A variable of a job file holds a number that isn't finite.")
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{literal(str(key))} = {literal(item)}' for key, item in value.items())}}}"
    raise InvalidJob(f"A {type(value).__name__} can't be the value of a variable in a job file.")


_KEPT_UP_TO = 0x10FFF
"""Escapes of characters up to this one are cached: a limit, so that values can't fill the memory."""


class _Escapes(dict[int, str]):
    """For `str.translate`: how each character is written.

    `$` and `%` are written as code points, so that the text never has `${` or `%{` (HCL syntax specification,
    "Template Expressions").
    """

    def __missing__(self, point: int) -> str:
        if 0xD800 <= point <= 0xDFFF or point == 0:
            raise InvalidJob("A variable of a job file holds a character that no text can hold.")
        escape = f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"
        if point <= _KEPT_UP_TO:
            self[point] = escape
        return escape


_ESCAPES = _Escapes({point: chr(point) for point in range(128) if chr(point).isalnum() or chr(point) in _PLAIN})
