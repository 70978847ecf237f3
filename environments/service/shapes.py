"""What is known about a value before it exists: its entries or its type."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Shape:
    """What is known about a value. `names` has its entries; None if unknown. `open`: it may have more entries.

    `kind` is its type, if known; then it has the methods of that type. `passing`: it has no more entries now,
    but may have them later.
    """

    names: "Mapping[str, Shape] | None" = None
    open: bool = True
    kind: type | None = None
    passing: bool = False

    def lacks(self, name: str) -> bool:
        """Whether the value is known to have no entry and no method of that name."""
        if self.names is not None:
            return not self.open and name not in self.names and not hasattr(dict, name)
        return self.kind is not None and not hasattr(self.kind, name)

    def inner(self, name: str) -> "Shape":
        """What is known about an entry."""
        return (self.names or {}).get(name, ANYTHING)


@dataclass(frozen=True)
class Gone(Shape):
    """An entry that doesn't exist, and why; `suggestion` says what to do."""

    why: str = ""
    suggestion: str = ""
    names: "Mapping[str, Shape] | None" = field(default=None)


ANYTHING = Shape()
TEXT = Shape(kind=str)
NUMBER = Shape(kind=float)

_KINDS: dict[str, type] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list,
    "null": type(None),
}


def table(names: "Mapping[str, Shape] | Iterable[str]", *, open: bool = False) -> Shape:
    """A table with these entries. Nothing is known about entries that are given by name only."""
    told = names if isinstance(names, Mapping) else dict.fromkeys(names, ANYTHING)
    return Shape(names=told, open=open)


def of_schema(schema: Mapping[str, Any]) -> Shape:
    """What is known about a parameter with that JSON Schema."""
    kind = schema.get("type")
    if kind == "object":
        properties = schema.get("properties")
        inner = {
            name: of_schema(part) if isinstance(part, Mapping) else ANYTHING
            for name, part in (properties if isinstance(properties, Mapping) else {}).items()
        }
        closed = schema.get("additionalProperties") is False and not schema.keys() & {"patternProperties", "$ref"}
        return Shape(names=inner, open=not closed)
    return Shape(kind=_KINDS.get(kind)) if isinstance(kind, str) else ANYTHING
