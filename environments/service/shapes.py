"""What is known of a value before it is there: which names it has, or what it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Shape:
    """What is known of a value. `names`: its entries; None: nobody can tell. `open`: it may have more of them.

    `kind`: its type, where that is known: it has the methods of that. `passing`: it has no more entries now,
    and may have them later.
    """

    names: "Mapping[str, Shape] | None" = None
    open: bool = True
    kind: type | None = None
    passing: bool = False

    def lacks(self, name: str) -> bool:
        """Whether it is known that it has no entry and no method of that name."""
        if self.names is not None:
            return not self.open and name not in self.names and not hasattr(dict, name)
        return self.kind is not None and not hasattr(self.kind, name)

    def inner(self, name: str) -> "Shape":
        """What is known of an entry."""
        return (self.names or {}).get(name, ANYTHING)


@dataclass(frozen=True)
class Gone(Shape):
    """An entry that isn't there, with why; `suggestion`: what to do."""

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
    """A table with these entries; of those that are only named nothing is known."""
    told = names if isinstance(names, Mapping) else dict.fromkeys(names, ANYTHING)
    return Shape(names=told, open=open)


def of_schema(schema: Mapping[str, Any]) -> Shape:
    """What a parameter with that JSON Schema can be."""
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
