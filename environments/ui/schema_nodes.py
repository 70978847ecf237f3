"""A template's JSON Schema as the nodes of a form: which parts can be drawn as fields, and as what.

What can't be is one field for JSON, so nothing that a schema allows is lost. A node decides by the schema only and
checks no value: the service does that. Names of fields are paths: `p.servers:0.port` is of the first row; what
follows a `~` isn't a name of the schema's (`p.servers~row`, `p.size~case`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from urllib.parse import quote

from environments.schemas.typed import types_of

Kind = Literal["text", "choice", "yesno", "list", "object", "cases", "json"]

DEEPEST = 6
"""Levels of fields inside of fields; what is deeper is one field for JSON."""

MOST_FIELDS = 300
"""Fields that a part may have before it becomes one field for JSON: references can multiply."""

MOST_CASES = 8
_MOST_CHOICES = 1_000
_MOST_REFERENCES = 10
_SCALARS = frozenset({"string", "integer", "number", "boolean", "null"})

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Node:
    """A part of a form. `root` is the schema of the whole parameter, in which references are found.

    `required`: its surroundings need a value. `inner`: it stands inside of another one, and the service fills no
    default in. `depth` counts from 0.
    """

    path: str
    label: str
    schema: Schema
    root: Schema
    required: bool = True
    inner: bool = False
    depth: int = 0
    secret: bool = False

    @cached_property
    def kind(self) -> Kind:
        """How it is drawn."""
        kind = _kind(self.schema, self.depth)
        if self.secret and kind not in ("choice", "yesno"):
            return "text" if kind == "text" else "json"
        if self.depth == 0 and kind in ("object", "list", "cases") and _too_many(self.schema, self.root):
            return "json"
        return kind

    @property
    def optional(self) -> bool:
        """Whether nothing typed means that it is left out, instead of an empty text, list or object."""
        return not self.required and (self.inner or "default" not in self.schema)

    @property
    def fixed(self) -> bool:
        """Whether there is one value only."""
        return self.kind == "choice" and self.required and not self.secret and len(self.choices) == 1

    @cached_property
    def choices(self) -> tuple[Any, ...]:
        """The values of a choice."""
        return tuple(value for value, _ in _choices(self.schema))

    @cached_property
    def choice_titles(self) -> tuple[str, ...]:
        """What the author calls each of them; empty: by its value."""
        return tuple(title for _, title in _choices(self.schema))

    # --- what is inside ----------------------------------------------------------------------------------------------

    def children(self) -> Iterator["Node"]:
        """The named parts of an object."""
        required = set(_names(self.schema.get("required")))
        for name, part in _properties(self.schema).items():
            yield self._inside(f"{self.path}.{escaped(name)}", name, part, name in required)

    @property
    def extra(self) -> bool:
        """Whether an object has rows for entries that people name."""
        return isinstance(self.schema.get("additionalProperties"), Mapping)

    def row(self, number: str) -> "Node":
        """A row of a list, or of the further entries of an object."""
        inner = self.schema.get("items") if self.kind == "list" else self.schema.get("additionalProperties")
        return self._inside(f"{self.path}:{number}", "", inner, required=True)

    def cases(self) -> list["Node"]:
        """What it may be instead, each with all of its fields."""
        return [
            self._inside(f"{self.path}~{number}", _case_label(part), part, required=True)
            for number, part in enumerate(_cases(self.schema, self.root))
        ]

    def _inside(self, path: str, label: str, part: Any, required: bool) -> "Node":
        schema = resolved(part, self.root)
        return Node(path, label, schema, self.root, required, inner=True, depth=self.depth + 1)


def parameter_node(name: str, schema: Schema, *, required: bool) -> Node:
    """The node of one parameter. Those of secrets have other paths, so that nothing keeps what is sent for them."""
    secret = schema.get("writeOnly") is True
    return Node(
        path=f"{'secret' if secret else 'p'}.{escaped(name)}",
        label=name,
        schema=resolved(schema, schema),
        root=schema,
        required=required,
        secret=secret,
    )


def parameter_nodes(schema: Schema) -> dict[str, Node]:
    """The nodes of a template's parameters, those without a default first. Name → node."""
    properties = _properties(schema)
    required = set(_names(schema.get("required")))
    return {
        name: parameter_node(name, properties[name], required=name in required)
        for name in sorted(properties, key=lambda name: name not in required)
    }


def escaped(name: str) -> str:
    """A name as a part of a path, without dots, tildes and anything that HTML could read."""
    return quote(name, safe="", errors="replace").replace(".", "%2E").replace("~", "%7E")


# --- reading schemas -------------------------------------------------------------------------------------------------


def resolved(part: Any, root: Schema) -> Schema:
    """The schema with its references followed and its `allOf` put together; one that can't be is an empty one."""
    if part is True or not isinstance(part, Mapping):
        return {}
    schema: Schema = part
    for _ in range(_MOST_REFERENCES):
        target = schema.get("$ref")
        if not isinstance(target, str):
            break
        found = _pointed(target, root)
        if found is None:
            return {"x-unknown": True}
        schema = {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
    else:
        return {"x-unknown": True}
    every = schema.get("allOf")
    if isinstance(every, list):
        for one in every[:MOST_CASES]:
            schema = _merged({key: value for key, value in schema.items() if key != "allOf"}, _plain(one, root))
    return schema


def _plain(part: Any, root: Schema) -> Schema:
    """A part of an `allOf`: its reference is followed, and it isn't put together further."""
    target = part.get("$ref") if isinstance(part, Mapping) else None
    found = _pointed(target, root) if isinstance(target, str) else part
    return found if isinstance(found, Mapping) else {}


def _pointed(target: str, root: Schema) -> Schema | None:
    if target != "#" and not target.startswith("#/"):
        return None
    found: Any = root
    for part in target.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found if isinstance(found, Mapping) else None


def _merged(base: Schema, more: Schema) -> Schema:
    """Both together, as far as fields are concerned."""
    made = {**base, **more}
    for key in ("title", "description", "default"):
        if key in base:
            made[key] = base[key]
    if "properties" in base and "properties" in more:
        made["properties"] = {**_properties(base), **_properties(more)}
    if "required" in base and "required" in more:
        made["required"] = [*_names(base["required"]), *_names(more["required"])]
    return made


def _kind(schema: Schema, depth: int) -> Kind:
    if "x-unknown" in schema:
        return "json"
    if _choices(schema):
        return "choice"
    if _has_cases(schema):
        return "cases" if depth < DEEPEST else "json"
    named = _types(schema)
    if len(named) == 1:
        return _kind_of_type(next(iter(named)), schema, depth)
    return "text" if "string" in named or set(named) <= _SCALARS else "json"


def _kind_of_type(named: str, schema: Schema, depth: int) -> Kind:
    if named == "boolean":
        return "yesno"
    if named not in ("array", "object"):
        return "text"
    if depth >= DEEPEST:
        return "json"
    if named == "array":
        return "list" if isinstance(schema.get("items"), Mapping) and "prefixItems" not in schema else "json"
    return "object" if _properties(schema) or isinstance(schema.get("additionalProperties"), Mapping) else "json"


def _types(schema: Schema) -> tuple[str, ...]:
    """The types that it names, or that its keywords are about."""
    if "type" not in schema:
        if "properties" in schema:
            return ("object",)
        if isinstance(schema.get("items"), Mapping):
            return ("array",)
    return types_of(schema)


def _choices(schema: Schema) -> list[tuple[Any, str]]:
    if "const" in schema:
        return [(schema["const"], "")]
    if schema.get("type") == "null":
        return [(None, "")]
    values = schema.get("enum")
    if isinstance(values, list | tuple):
        return [(value, "") for value in values] if len(values) <= _MOST_CHOICES else []
    for keyword in ("oneOf", "anyOf"):
        cases = schema.get(keyword)
        if isinstance(cases, list) and cases and all(isinstance(one, Mapping) and "const" in one for one in cases):
            return [(one["const"], str(one.get("title", ""))) for one in cases[:_MOST_CHOICES]]
    return []


def _has_cases(schema: Schema) -> bool:
    """Whether it is one of a few things, some of which have fields of their own."""
    for keyword in ("oneOf", "anyOf"):
        cases = schema.get(keyword)
        if isinstance(cases, list) and 2 <= len(cases) <= MOST_CASES:
            return all(isinstance(case, Mapping) for case in cases)
    named = _types(schema)
    return 2 <= len(named) < 7 and not set(named) <= _SCALARS


def _cases(schema: Schema, root: Schema) -> list[Schema]:
    for keyword in ("oneOf", "anyOf"):
        cases = schema.get(keyword)
        if isinstance(cases, list):
            base = {
                key: value for key, value in schema.items() if key not in (keyword, "default", "title", "description")
            }
            return [_merged(base, resolved(case, root)) for case in cases]
    return [{**{k: v for k, v in schema.items() if k != "default"}, "type": named} for named in _types(schema)]


_TYPE_NAMES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "yes or no",
    "array": "a list",
    "object": "an object",
    "null": "nothing (null)",
}


def _case_label(schema: Schema) -> str:
    """What a case is called: by its author, by the value that tells it from others, else by its type."""
    if schema.get("title"):
        return str(schema["title"])
    for name, part in _properties(schema).items():
        if isinstance(part, Mapping) and "const" in part:
            return f"{name}: {part['const']}"
    if "const" in schema:
        return str(schema["const"])
    named = _types(schema)
    label = " or ".join(_TYPE_NAMES[one] for one in named) if len(named) < 7 else "something else"
    if named == ("object",) and _properties(schema):
        label += f" with {', '.join(list(_properties(schema))[:3])}"
    return label


def _too_many(schema: Schema, root: Schema) -> bool:
    """Whether it has too many fields, with one row in each list."""
    waiting, count = [(schema, 0)], 0
    while waiting:
        part, depth = waiting.pop()
        count += 1
        if count + len(waiting) > MOST_FIELDS:
            return True
        kind = _kind(part, depth)
        inner: list[Any] = []
        if kind == "object":
            inner = [*_properties(part).values(), part.get("additionalProperties", False)]
        elif kind == "list":
            inner = [part["items"]]
        elif kind == "cases":
            inner = _cases(part, root)
        waiting += [(resolved(one, root), depth + 1) for one in inner if isinstance(one, Mapping)]
    return False


def _properties(schema: Schema) -> Mapping[str, Any]:
    found = schema.get("properties")
    return {name: part for name, part in found.items() if part is not False} if isinstance(found, Mapping) else {}


def _names(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple) else []
