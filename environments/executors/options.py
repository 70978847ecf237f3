"""Checks of a step's raw options, whose strings may still hold expressions."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from environments.executors.base import Options


def has_expression(value: Any) -> bool:
    """Whether an expression is anywhere inside."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(has_expression(item) for item in value.values())
    return isinstance(value, list) and any(has_expression(item) for item in value)


def faults(model: type[Options], options: Mapping[str, Any]) -> list[str]:
    """What is wrong with raw options, in words: unknown and missing ones, wrong values where nothing is rendered."""
    try:
        model.model_validate(dict(options))
    except ValidationError as error:
        return [
            f"with.{'.'.join(str(part) for part in fault['loc'])}: {fault['msg'].removeprefix('Value error, ')}"
            if fault["loc"]
            else f"with: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_url=False)
            if fault["type"] in ("extra_forbidden", "missing") or not has_expression(_at(options, fault["loc"]))
        ]
    return []


def _at(options: Any, place: tuple[int | str, ...]) -> Any:
    value = options
    for part in place:
        mapped = isinstance(value, Mapping) and part in value
        listed = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if not (mapped or listed):
            break
        value = value[part]
    return value
