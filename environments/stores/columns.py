"""JSON in columns: only values that can be read again are written; damaged values are read as well as possible.

A row that nobody can read would be in the way of every list and every claim that comes by it.
"""

import json
import re
from typing import Any

from pydantic_core import from_json
from sqlalchemy.exc import DontWrapMixin

from environments.domain.errors import InvalidInput

_HALF = re.compile("[\ud800-\udfff]")
"""A lone surrogate: UTF-16 uses them in pairs, and UTF-8 can't encode them."""


class _Unstorable(DontWrapMixin, InvalidInput):
    """What `InvalidInput` says; SQLAlchemy lets it through as it is."""


def write_column(value: Any) -> str:
    """The text of a JSON column. Raises `InvalidInput` for values that `read_column` would have to repair or refuse."""
    try:
        text = json.dumps(value, allow_nan=False)
        from_json(text)
    except (ValueError, RecursionError) as error:
        raise _Unstorable(
            "This can't be stored: it is nested too deeply, holds half a character (an unpaired surrogate), or a "
            "number that is larger than any that JSON has."
        ) from error
    return text


def read_column(text: str | bytes) -> Any:
    """The value of a JSON column, with U+FFFD for lone surrogates. Raises `ValueError` for anything but JSON."""
    try:
        return from_json(text)
    except ValueError:
        return _whole(json.loads(text))


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(part) for part in value]
    if isinstance(value, dict):
        return {_HALF.sub("\ufffd", key): _whole(part) for key, part in value.items()}
    return value
