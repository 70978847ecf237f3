"""Values as the fields of a form, and fields back as values, by the nodes of a schema.

Whatever is filled in reads back as the same value: a part whose fields couldn't do that is filled in as JSON.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from environments.domain.json_values import is_text, parse_json, same
from environments.schemas.typed import Unreadable, read_typed, typed_text
from environments.ui.schema_nodes import Node

Form = Mapping[str, Sequence[str]]
"""Name of a field → what was sent for it."""

MOST_ROWS = 100
"""Rows of a list that are drawn; a longer one is JSON."""

_LARGEST = 600
"""Fields of a parameter; one with more is JSON."""


class Unset:
    """Nothing was typed."""


UNSET = Unset()


def fill(node: Node, value: Any) -> dict[str, list[str]]:
    """The fields with a value in them; a secret one has none."""
    if node.secret:
        return {}
    form = _filled(node, value)
    return form if len(form) <= _LARGEST else _as_json(node, value)


def read(node: Node, form: Form, faults: dict[str, str]) -> Any:
    """The value that was typed, or `UNSET`. `faults` gets what can't be read: path → why."""
    if is_json(node, form):
        return _read_json(node, form, faults)
    if node.fixed:
        return node.choices[0]
    if node.kind in ("list", "object"):
        return _read_list(node, form, faults) if node.kind == "list" else _read_object(node, form, faults)
    if node.kind == "cases":
        case = chosen_case(node, form)
        return UNSET if case is None else read(case, form, faults)
    text = _last(form, node.path)
    if text is None:
        return UNSET
    if node.kind == "choice":
        return node.choices[int(text)] if _is_index(text, len(node.choices)) else UNSET
    if node.kind == "yesno":
        return {"true": True, "false": False}.get(text, UNSET)
    return _read_text(node, text.replace("\r\n", "\n"), faults)


def rows(node: Node, form: Form) -> list[str]:
    """The numbers of the rows that a list has; each is a part of the paths of its fields."""
    return list(dict.fromkeys(one for one in form.get(rows_path(node), ()) if one.isdecimal() and len(one) < 7))


def chosen_case(node: Node, form: Form) -> Node | None:
    """What was chosen out of a few things."""
    cases = node.cases()
    text = _last(form, case_path(node)) or ""
    return cases[int(text)] if _is_index(text, len(cases)) else None


def rows_path(node: Node) -> str:
    """The field, once for each row, with the row's number."""
    return f"{node.path}~row"


def key_path(node: Node) -> str:
    """The field with the name of an entry; `node` is that of its value."""
    return f"{node.path}~key"


def case_path(node: Node) -> str:
    """The field with the number of what was chosen."""
    return f"{node.path}~case"


def json_path(node: Node) -> str:
    """The field in place of all others of a part, for JSON."""
    return f"{node.path}~json" if not node.secret else node.path


def is_json(node: Node, form: Form) -> bool:
    """Whether a part is one field for JSON."""
    return node.kind == "json" or (not node.secret and json_path(node) in form)


def _last(form: Form, path: str) -> str | None:
    values = form.get(path)
    return values[-1] if values else None


def _is_index(text: str, count: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 7 and int(text) < count


# --- values as fields ------------------------------------------------------------------------------------------------


def _filled(node: Node, value: Any) -> dict[str, list[str]]:
    form = _in_fields(node, value)
    if form is None:
        return _as_json(node, value)
    faults: dict[str, str] = {}
    back = read(node, form, faults)
    return _as_json(node, value) if faults or isinstance(back, Unset) or not same(back, value) else form


def _as_json(node: Node, value: Any) -> dict[str, list[str]]:
    text = json.dumps(value, ensure_ascii=False)
    return {json_path(node): [text if is_text(text) else json.dumps(value)]}


def _in_fields(node: Node, value: Any) -> dict[str, list[str]] | None:
    """Fields that may have the value; None: there are none for it."""
    if node.kind == "choice":
        number = next((number for number, one in enumerate(node.choices) if same(one, value)), None)
        return None if number is None else {node.path: [str(number)]}
    if node.kind == "yesno":
        return {node.path: ["true" if value else "false"]} if isinstance(value, bool) else None
    if node.kind == "list":
        return _list_in_fields(node, value) if isinstance(value, list) and len(value) <= MOST_ROWS else None
    if node.kind == "object":
        return _object_in_fields(node, value) if isinstance(value, dict) else None
    if node.kind == "cases":
        return _case_in_fields(node, value)
    if node.kind == "json":
        return None
    text = typed_text(value, node.schema)
    return {node.path: [text]} if is_typeable(text) else None


def is_typeable(text: str) -> bool:
    """Whether a browser sends a text as it is: it changes line breaks, and leaves out what no text has."""
    return "\r" not in text and "\0" not in text and is_text(text)


def _is_key(name: str) -> bool:
    return bool(name) and "\n" not in name and is_typeable(name)


def _list_in_fields(node: Node, value: list[Any]) -> dict[str, list[str]]:
    form = {rows_path(node): [str(number) for number in range(len(value))]} if value else {}
    for number, one in enumerate(value):
        form |= _filled(node.row(str(number)), one)
    return form


def _object_in_fields(node: Node, value: dict[str, Any]) -> dict[str, list[str]] | None:
    children = {child.label: child for child in node.children()}
    form: dict[str, list[str]] = {}
    for name, child in children.items():
        if name in value:
            form |= _filled(child, value[name])
        elif child.fixed:
            return None
    others = {name: one for name, one in value.items() if name not in children}
    if others and (not node.extra or len(others) > MOST_ROWS or not all(map(_is_key, others))):
        return None
    if others:
        form[rows_path(node)] = [str(number) for number in range(len(others))]
    for number, (name, one) in enumerate(others.items()):
        row = node.row(str(number))
        form |= {key_path(row): [name], **_filled(row, one)}
    return form


def _case_in_fields(node: Node, value: Any) -> dict[str, list[str]] | None:
    """By the first case that has a field for all of the value, without JSON; else by the first that takes it at all."""
    for number, case in enumerate(node.cases()):
        form = _in_fields(case, value)
        if form is None or any(name.endswith("~json") for name in form):
            continue
        faults: dict[str, str] = {}
        back = read(case, form, faults)
        if not faults and not isinstance(back, Unset) and same(back, value):
            return {case_path(node): [str(number)], **form}
    return None


# --- fields as values ------------------------------------------------------------------------------------------------


def _read_text(node: Node, text: str, faults: dict[str, str]) -> Any:
    if not text and (node.optional or node.required or node.secret or node.schema.get("type") != "string"):
        return UNSET
    if node.schema.get("type") != "string" and not text.strip():
        return UNSET
    try:
        return read_typed(text, node.schema)
    except Unreadable as unreadable:
        faults[node.path] = f"This {unreadable}."
        return UNSET


def _read_json(node: Node, form: Form, faults: dict[str, str]) -> Any:
    text = _last(form, json_path(node)) or ""
    if not text.strip():
        return UNSET
    try:
        return parse_json(text)
    except ValueError as error:
        faults[node.path] = f"This isn't JSON: {error}." if not node.secret else "This isn't JSON."
        return UNSET


def _read_list(node: Node, form: Form, faults: dict[str, str]) -> Any:
    found = [read(node.row(number), form, faults) for number in rows(node, form)]
    kept = [one for one in found if not isinstance(one, Unset)]
    return UNSET if not kept and node.optional else kept


def _read_object(node: Node, form: Form, faults: dict[str, str]) -> Any:
    made: dict[str, Any] = {}
    typed = False
    for child in node.children():
        if child.fixed:
            made[child.label] = child.choices[0]
            continue
        value = read(child, form, faults)
        if not isinstance(value, Unset):
            made[child.label] = value
            typed = typed or not _is_empty(child, value)
    for number in rows(node, form) if node.extra else ():
        row = node.row(number)
        name, value = _last(form, key_path(row)) or "", read(row, form, faults)
        if isinstance(value, Unset):
            continue
        if name in made or not name:
            faults[row.path] = "There is an entry of this name already." if name else "This entry needs a name."
        made[name] = value
        typed = True
    return UNSET if not typed and node.optional else made


def _is_empty(node: Node, value: Any) -> bool:
    """Whether a part has a value only because its surroundings, which may be left out, would need one."""
    if node.kind != "object" or not isinstance(value, dict):
        return node.kind == "list" and not value
    children = {child.label: child for child in node.children()}
    return all(name in children and (children[name].fixed or _is_empty(children[name], value[name])) for name in value)
