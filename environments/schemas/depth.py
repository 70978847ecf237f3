"""How deep lists and objects may be in each other: what is deeper, nobody could write down, store or show again."""

from collections.abc import Mapping
from typing import Any

DEEPEST = 64
"""Levels, of a schema and of a value."""


def deeper_than(value: Any, most: int) -> bool:
    """Whether lists and objects in a value are nested deeper than that."""
    level = [value]
    for _ in range(most):
        parts = [part for part in level if isinstance(part, Mapping | list | tuple)]
        level = [inner for part in parts for inner in (part.values() if isinstance(part, Mapping) else part)]
        if not level:
            return False
    return any(isinstance(part, Mapping | list | tuple) for part in level)
