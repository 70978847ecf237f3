"""Durations as fields of models."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from environments.domain.deadline import format_duration, parse_duration
from environments.domain.errors import CalvinverseError


def _read(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except CalvinverseError as error:
            raise ValueError(error.message) from error
    return value


def _read_wait(value: Any) -> Any:
    return timedelta(0) if isinstance(value, str) and value.strip() == "0s" else _read(value)


Duration = Annotated[
    timedelta,
    BeforeValidator(_read),
    PlainSerializer(format_duration, return_type=str),
]
"""A `timedelta`, written as `90s` or `2h`."""

Wait = Annotated[
    timedelta,
    BeforeValidator(_read_wait),
    PlainSerializer(format_duration, return_type=str),
]
"""A duration that may also be none: `0s`."""
