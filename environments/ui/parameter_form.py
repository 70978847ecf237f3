"""The part of a form that a template's parameters have: what is in it, what was typed, and buttons that change rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from environments.domain.errors import InvalidInput
from environments.domain.json_values import same
from environments.schemas.typed import Unreadable, read_typed, typed_text
from environments.ui.schema_fields import Drawing, Field, faults_of, with_defaults
from environments.ui.schema_forms import (
    MOST_ROWS,
    Form,
    Unset,
    fill,
    is_json,
    read,
    rows,
    rows_path,
)
from environments.ui.schema_nodes import Node, parameter_nodes
from environments.ui.visit import BEFORE, SECRET

KEEP = "keep."
"""How the box begins that says: what was typed before doesn't matter."""

ADD, REMOVE = "add ", "remove "
"""What a button that changes rows sends, before the path of the list, and of the row."""

MOST_FIELDS = 10_000
"""Fields of a form, those in all rows and cases among them. Browsers send fewer back than that."""

_LONGEST_LINK = 6_000


class ParameterForm:
    """The parameters of a template in a form. `known`: secrets have values already, and needn't be typed.

    Raises `InvalidInput` for a form with so many rows that nobody can have made them.
    """

    def __init__(self, schema: Mapping[str, Any], form: Form, *, known: bool = False) -> None:
        self.nodes = {
            name: replace(node, required=False) if known and node.secret else node
            for name, node in parameter_nodes(schema).items()
        }
        self._form: dict[str, Sequence[str]] = dict(form)
        self._check_size()
        self.faults: dict[str, str] = {}

    @classmethod
    def new(
        cls,
        schema: Mapping[str, Any],
        present: Mapping[str, Any] | None = None,
        asked: Mapping[str, str] | None = None,
        *,
        known: bool = False,
    ) -> "ParameterForm":
        """A form that nobody has typed into: with what is `asked` for as text, else the `present` value or the default.

        What is asked for a secret doesn't count.
        """
        made = cls(schema, {}, known=known)
        for name, node in made.nodes.items():
            if node.secret:
                continue
            text = (asked or {}).get(name)
            if text is not None:
                made._ask(node, text)
            elif present is not None and name in present:
                made._form |= fill(node, present[name])
            else:
                made._form |= with_defaults(node)
        return made

    def _check_size(self) -> None:
        if not any(name.endswith("~row") for name in self._form):  # else the schemas limit it
            return
        waiting, count = list(self.nodes.values()), 0
        while waiting:
            node = waiting.pop()
            count += 1
            if count + len(waiting) > MOST_FIELDS:
                raise InvalidInput(f"A form can't have more than {MOST_FIELDS} fields.", hint="Remove some entries.")
            waiting += self._inside(node)

    def _inside(self, node: Node) -> list[Node]:
        """What is drawn inside of a field."""
        if is_json(node, self._form):
            return []
        if node.kind == "cases":
            return node.cases()
        inside = list(node.children()) if node.kind == "object" else []
        if node.kind == "list" or (node.kind == "object" and node.extra):
            inside += [node.row(number) for number in rows(node, self._form)]
        return inside

    def _ask(self, node: Node, text: str) -> None:
        try:
            self._form |= fill(node, read_typed(text, node.schema))
        except Unreadable as unreadable:
            self.faults[node.path] = f"The link's value {unreadable}."
            if node.kind == "text":
                self._form[node.path] = [text]

    # --- what was typed ----------------------------------------------------------------------------------------------

    def values(self) -> dict[str, Any]:
        """Name → value, or `UNSET`. What can't be read is in `faults` afterwards."""
        found = {name: read(node, self._form, self.faults) for name, node in self.nodes.items()}
        for name, node in self.nodes.items():
            if node.secret and isinstance(found[name], Unset) and self._typed_before(node) and not self._kept(node):
                self.faults.setdefault(
                    node.path, "You typed a value here before, and it isn't kept on the page: type it again."
                )
        return found

    def given(self) -> dict[str, Any]:
        """The values to send: without those that are left out or have their default."""
        schemas = {name: node.schema for name, node in self.nodes.items()}
        return {
            name: value
            for name, value in self.values().items()
            if not isinstance(value, Unset)
            and not ("default" in schemas[name] and same(value, schemas[name]["default"]))
        }

    def blame(self, problems: Sequence[str]) -> None:
        """Puts what the service says of parameters at their fields."""
        self.faults = {**faults_of(self.nodes, self._form, problems), **self.faults}

    def fields(self) -> list[Field]:
        """What is drawn."""
        before = frozenset(
            node.path for node in self.nodes.values() if node.secret and (self._typed_before(node) or self._typed(node))
        )
        drawing = Drawing(self._form, self.faults, before)
        return [drawing.of(node) for node in self.nodes.values()]

    def asked(self) -> dict[str, str]:
        """The values for a link to the form: name → text, without secrets and defaults; nothing if it gets too long."""
        given = {
            name: typed_text(value, self.nodes[name].schema)
            for name, value in self.given().items()
            if not self.nodes[name].secret
        }
        return given if sum(map(len, given.values())) <= _LONGEST_LINK else {}

    def _typed(self, node: Node) -> bool:
        return any(self._form.get(node.path, ()))

    def _typed_before(self, node: Node) -> bool:
        return BEFORE + node.path.removeprefix(SECRET) in self._form

    def _kept(self, node: Node) -> bool:
        return KEEP + node.path.removeprefix(SECRET) in self._form

    # --- buttons that change rows ------------------------------------------------------------------------------------

    def change(self, wanted: str) -> bool:
        """Adds or removes a row, as a button says; False if it isn't such a button."""
        if wanted.startswith(ADD):
            path = wanted.removeprefix(ADD)
            node = self._find(path)
            if node is not None and len(present := rows(node, self._form)) < MOST_ROWS:
                number = str(max(map(int, present), default=-1) + 1)
                self._form |= {rows_path(node): [*present, number], **with_defaults(node.row(number))}
            return True
        if wanted.startswith(REMOVE):
            path, _, number = wanted.removeprefix(REMOVE).rpartition(" ")
            node = self._find(path)
            if node is not None:
                self._form[rows_path(node)] = [one for one in rows(node, self._form) if one != number]
            return True
        return False

    def _find(self, path: str) -> Node | None:
        """The list, or the object with rows, of that path."""
        waiting = list(self.nodes.values())
        while waiting:
            node = waiting.pop()
            if node.path == path:
                return node if node.kind == "list" or (node.kind == "object" and node.extra) else None
            if not path.startswith(node.path):
                continue
            if node.kind == "object":
                waiting += node.children()
            if node.kind in ("list", "object"):
                waiting += [node.row(number) for number in rows(node, self._form)]
            if node.kind == "cases":
                waiting += node.cases()
        return None
