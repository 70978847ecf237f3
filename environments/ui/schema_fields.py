"""The fields of a form as templates draw them: with labels, help, what was typed, and what is wrong with it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from environments.schemas.typed import types_of
from environments.ui.schema_forms import (
    MOST_ROWS,
    Form,
    Unset,
    case_path,
    chosen_case,
    fill,
    is_json,
    json_path,
    key_path,
    read,
    rows,
    rows_path,
)
from environments.ui.schema_nodes import Node
from environments.words import clean, one_line, shown

Drawn = Literal["text", "lines", "choice", "yesno", "fixed", "list", "object", "cases", "json"]

_LONG = 500
"""Characters from which on a text gets several lines."""

_LONGEST_SCHEMA = 4_000

_HINTS = {
    "date": "a date such as 2026-12-01",
    "date-time": "a moment such as 2026-12-01T18:00:00Z",
    "time": "a time such as 18:00:00Z",
    "duration": "a duration such as PT8H",
    "email": "an e-mail address",
    "hostname": "the name of a host",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "uri": "an address such as https://example.org/",
    "uuid": "a UUID",
}


@dataclass(frozen=True)
class Option:
    """One of several values: what is sent for it, and what it is called."""

    value: str
    label: str
    chosen: bool


@dataclass(frozen=True)
class Row:
    """A row of a list, or an entry of an object, which has a name of its own (`key_path`)."""

    number: str
    field: "Field"
    key_path: str = ""
    key: str = ""


@dataclass(frozen=True)
class Case:
    """What a part may be, with its fields."""

    option: Option
    field: "Field"


@dataclass(frozen=True)
class Field:
    """One field, or a group of them. `path` is its name and its id; `rows_path`, `case_path`: see `schema_forms`."""

    path: str
    drawn: Drawn
    label: str
    title: str
    help: tuple[str, ...]
    required: bool
    secret: bool = False
    value: str = ""
    error: str = ""
    options: tuple[Option, ...] = ()
    blank: str = ""
    """What it is called that nothing is chosen; empty: something must be."""
    children: tuple["Field", ...] = ()
    rows: tuple[Row, ...] = ()
    rows_path: str = ""
    addable: bool = False
    cases: tuple[Case, ...] = ()
    case_path: str = ""
    schema_text: str = ""
    typed_before: bool = False
    """Of a secret: there was a value, which isn't kept on the page."""

    @property
    def group(self) -> bool:
        """Whether it has fields of its own."""
        return self.drawn in ("list", "object", "cases")


def every_field(fields: Iterable[Field]) -> Iterator[Field]:
    """All fields, also those inside of others."""
    for one in fields:
        yield one
        inner = [*one.children, *(row.field for row in one.rows), *(case.field for case in one.cases)]
        yield from every_field(inner)


@dataclass
class Drawing:
    """What a form knows when its fields are drawn. `faults`: path → what is wrong; `before`: secrets typed before."""

    form: Form
    faults: Mapping[str, str] = field(default_factory=dict)
    before: frozenset[str] = frozenset()

    def of(self, node: Node) -> Field:
        """The field of a node with what was typed."""
        common: dict[str, Any] = {
            "path": node.path,
            "label": one_line(node.label),
            "title": one_line(str(node.schema.get("title", ""))),
            "help": _help(node),
            "required": node.required and not node.fixed,
            "secret": node.secret,
            "error": clean(self.faults.get(node.path, "")),
            "typed_before": node.path in self.before,
        }
        if is_json(node, self.form):
            return self._json(node, common)
        if node.kind in ("list", "object"):
            return self._group(node, common)
        if node.kind == "cases":
            return self._cases(node, common)
        typed = "" if node.secret else (self.form.get(node.path) or ("",))[-1]
        if node.fixed:
            return Field(drawn="fixed", value=shown(node.choices[0]), **common)
        if node.kind in ("choice", "yesno"):
            blank = _blank(node, typed)
            drawn: Drawn = "yesno" if node.kind == "yesno" else "choice"
            return Field(drawn=drawn, value=typed, options=_options(node, typed), blank=blank, **common)
        return Field(drawn="lines" if _is_long(node, typed) else "text", value=typed, **common)

    def _json(self, node: Node, common: dict[str, Any]) -> Field:
        written = json.dumps(dict(node.schema), indent=2, ensure_ascii=False, default=str)
        if len(written) > _LONGEST_SCHEMA:
            written = f"{written[:_LONGEST_SCHEMA]}…"
        value = "" if node.secret else (self.form.get(json_path(node)) or ("",))[-1]
        return Field(drawn="json", value=value, schema_text=clean(written), **{**common, "path": json_path(node)})

    def _group(self, node: Node, common: dict[str, Any]) -> Field:
        children = tuple(map(self.of, node.children())) if node.kind == "object" else ()
        numbers = rows(node, self.form) if node.kind == "list" or node.extra else []
        drawn_rows = tuple(self._row(node, number) for number in numbers[:MOST_ROWS])
        return Field(
            drawn="list" if node.kind == "list" else "object",
            children=children,
            rows=drawn_rows,
            rows_path=rows_path(node),
            addable=(node.kind == "list" or node.extra) and len(drawn_rows) < MOST_ROWS,
            **common,
        )

    def _row(self, node: Node, number: str) -> Row:
        row = node.row(number)
        if node.kind == "list":
            return Row(number, self.of(row))
        return Row(number, self.of(row), key_path(row), (self.form.get(key_path(row)) or ("",))[-1])

    def _cases(self, node: Node, common: dict[str, Any]) -> Field:
        chosen = chosen_case(node, self.form)
        cases = tuple(
            Case(
                Option(str(number), one_line(case.label), chosen is not None and case.path == chosen.path),
                self.of(case),
            )
            for number, case in enumerate(node.cases())
        )
        return Field(
            drawn="cases",
            cases=cases,
            case_path=case_path(node),
            blank="" if chosen is not None and not node.optional else "not set",
            **common,
        )


def _blank(node: Node, typed: str) -> str:
    if node.optional:
        return "not set"
    return "" if typed else "choose"


def with_defaults(node: Node) -> dict[str, list[str]]:
    """The fields of a new part: filled in with its defaults, those inside of it too."""
    default = node.schema.get("default")
    if "default" in node.schema and not node.secret:
        return fill(node, default)
    form: dict[str, list[str]] = {}
    if node.kind == "object":
        for child in node.children():
            if child.required or "default" in child.schema:
                form |= with_defaults(child)
    return form


def faults_of(nodes: Mapping[str, Node], form: Form, problems: Iterable[str]) -> dict[str, str]:
    """Problems that the service names (`servers.0.port: 5 is …`) by the paths of the fields that they are about.

    A problem of a part that has no field is told at the nearest one around it.
    """
    found: dict[str, str] = {}
    for problem in problems:
        place, _, reason = problem.partition(": ")
        name = next((name for name in sorted(nodes, key=len, reverse=True) if f"{place}.".startswith(f"{name}.")), None)
        if name is None or not reason:
            continue
        path, left = _nearest(nodes[name], form, place[len(name) + 1 :])
        said = f"{left}: {reason}" if left else f"{reason[:1].upper()}{reason[1:]}"
        found.setdefault(path, f"{said.rstrip('.')}.")
    return found


def _nearest(node: Node, form: Form, place: str) -> tuple[str, str]:
    """The path of the field nearest to a place inside of a node, and what is left of the place."""
    if is_json(node, form):
        return node.path, place
    if node.kind == "cases" and (case := chosen_case(node, form)) is not None:
        return _nearest(case, form, place)
    if not place:
        return node.path, ""
    first, _, rest = place.partition(".")
    if node.kind == "list" and first.isdecimal():
        filled = [number for number in rows(node, form) if not isinstance(read(node.row(number), form, {}), Unset)]
        if int(first) < len(filled):
            return _nearest(node.row(filled[int(first)]), form, rest)
    if node.kind == "object":
        for child in node.children():
            if f"{place}.".startswith(f"{child.label}."):
                return _nearest(child, form, place[len(child.label) + 1 :])
        for number in rows(node, form):
            key = (form.get(key_path(node.row(number))) or ("",))[-1]
            if key and f"{place}.".startswith(f"{key}."):
                return _nearest(node.row(number), form, place[len(key) + 1 :])
    return node.path, place


def _is_long(node: Node, typed: str) -> bool:
    schema = node.schema
    longest = schema.get("maxLength")
    several = schema.get("format") in ("multiline", "textarea") or "contentMediaType" in schema
    return "\n" in typed or several or (isinstance(longest, int) and longest >= _LONG)


def _options(node: Node, typed: str) -> tuple[Option, ...]:
    if node.kind == "yesno":
        return (Option("true", "yes", typed == "true"), Option("false", "no", typed == "false"))
    return tuple(
        Option(str(number), one_line(title) or label, typed == str(number))
        for number, (label, title) in enumerate(zip(_labels(node.choices), node.choice_titles, strict=True))
    )


def _labels(choices: tuple[Any, ...]) -> list[str]:
    """The values; texts in quotes where they would look like another value."""
    others = {shown(one) for one in choices if not isinstance(one, str)}
    return [
        json.dumps(one, ensure_ascii=False) if isinstance(one, str) and one in others else shown(one) for one in choices
    ]


def _help(node: Node) -> tuple[str, ...]:
    """What the author says, and the limits in a few words."""
    schema = node.schema
    said = [clean(str(schema.get("description", "")))]
    if node.kind == "text" and len(types_of(schema)) == 1:
        said.append({"integer": "a whole number", "number": "a number"}.get(str(schema.get("type")), ""))
    elif node.kind == "text":
        said.append("text, or as JSON writes it" if "string" in types_of(schema) else " or ".join(types_of(schema)))
    said.append(_HINTS.get(str(schema.get("format", "")), ""))
    said += [_range(schema, "minimum", "maximum", ""), _range(schema, "minLength", "maxLength", " characters")]
    said += [
        _range(schema, "minItems", "maxItems", " entries"),
        _range(schema, "minProperties", "maxProperties", " entries"),
    ]
    for keyword, words in {"exclusiveMinimum": "more than", "exclusiveMaximum": "less than"}.items():
        said += [f"{words} {shown(schema[keyword])}"] if keyword in schema else []
    said += [f"a multiple of {shown(schema['multipleOf'])}"] if "multipleOf" in schema else []
    said += [f"matching {shown(schema['pattern'])}"] if "pattern" in schema else []
    said += ["no entry twice"] if schema.get("uniqueItems") is True else []
    if "default" in schema and not node.secret:
        default = shown(schema["default"])
        said.append(f"default: {default if len(default) <= 100 else f'{default[:99]}…'}")
    examples = schema.get("examples")
    if isinstance(examples, list) and examples and not node.secret:
        said.append(f"for example {shown(examples[0])[:100]}")
    return tuple(one for one in said if one)


def _range(schema: Mapping[str, Any], low: str, high: str, of: str) -> str:
    least, most = schema.get(low), schema.get(high)
    if least is not None and most is not None:
        return f"{shown(least)} to {shown(most)}{of}"
    if least is not None:
        return f"at least {shown(least)}{of}"
    return f"at most {shown(most)}{of}" if most is not None else ""
