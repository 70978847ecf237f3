"""Faults in the expressions of a text: syntax, unknown filters, and unknown names."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from jinja2 import TemplateError, nodes

from environments.domain.faults import meant
from environments.domain.template_rules import is_filled
from environments.service.rendering import expressions, fault, path_of
from environments.service.shapes import ANYTHING, Gone, Shape

_OPTIONAL = frozenset({"default", "d"})
"""Filters that accept an undefined name."""

_UNKNOWN = re.compile(r"there is no (filter|test) '([^']*)'")


class Wrong(NamedTuple):
    """A fault in a text, at its line `line`, counted from 0."""

    message: str
    suggestion: str = ""
    line: int = 0
    warning: bool = False


def expression_faults(text: str, scope: Shape) -> Iterator[Wrong]:
    """Every fault in a text. `scope` has the names that expressions can use."""
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return
    try:
        tree = expressions.parse(text)
    except (TemplateError, RecursionError):
        yield Wrong(fault(text) or "it can't be read")
        return
    for node in tree.find_all((nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)):
        yield Wrong(
            "an expression can't read other files: there are no include, import and extends", "", node.lineno - 1
        )
        return
    unknown = [*_unknown_filters(tree)]
    yield from unknown
    if (wrong := fault(text)) and not (unknown and _UNKNOWN.search(wrong)):
        yield Wrong(wrong)
        return
    try:
        yield from _Names(tree, scope).faults()
    except RecursionError:
        yield Wrong("it is nested too deeply")


def constant(text: str) -> tuple[bool, Any]:
    """Whether a text is one expression without names, and if so, its value."""
    try:
        tree = expressions.parse(text)
        written = [node for part in tree.find_all(nodes.Output) for node in part.nodes]
        stripped = text.strip()
        if len(written) != 1 or not stripped.startswith("{{") or not stripped.endswith("}}"):
            return False, None
        return True, written[0].as_const()
    except (TemplateError, nodes.Impossible, RecursionError, MemoryError, ArithmeticError, ValueError, TypeError):
        return False, None


def _unknown_filters(tree: nodes.Template) -> Iterator[Wrong]:
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        assert isinstance(node, nodes.Filter | nodes.Test)
        what, known = ("filter", expressions.filters) if isinstance(node, nodes.Filter) else ("test", expressions.tests)
        if node.name not in known:
            yield Wrong(f"there is no {what} {node.name!r}", meant(node.name, known), node.lineno - 1)


class _Names:
    """Visits each name in a text once."""

    def __init__(self, tree: nodes.Template, scope: Shape) -> None:
        self._tree = tree
        self._scope = scope
        names = [*tree.find_all(nodes.Name)]
        self._local = {name.name for name in names if name.ctx in ("store", "param")}
        self._local |= {macro.name for macro in tree.find_all(nodes.Macro)}
        if next(tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock)), None) is not None:
            self._local |= {"loop", "caller", "varargs", "kwargs"}
        self._asked = {
            chain
            for test in tree.find_all(nodes.Test)
            if test.name in ("defined", "undefined")
            if (chain := path_of(test.node))
        }
        self._told: set[tuple[str, ...]] = set()
        self._found: list[Wrong] = []

    def faults(self) -> Iterator[Wrong]:
        self._visit(self._tree)
        yield from self._found

    def _visit(self, node: nodes.Node, *, optional: bool = False) -> None:
        if isinstance(node, nodes.Name | nodes.Getattr | nodes.Getitem):
            self._shape(node, optional=optional)
            return
        may_lack = (isinstance(node, nodes.Test) and node.name in ("defined", "undefined")) or (
            isinstance(node, nodes.Filter) and node.name in _OPTIONAL
        )
        for inner in node.iter_child_nodes():
            self._visit(inner, optional=may_lack and inner is getattr(node, "node", None))

    def _shape(self, node: nodes.Node, *, optional: bool = False) -> Shape:
        """The shape of a name or a part of it; records a fault if it doesn't exist."""
        match node:
            case nodes.Name():
                return self._root(node, optional)
            case nodes.Getattr():
                return self._part(node, self._shape(node.node), node.attr, optional)
            case nodes.Getitem(arg=nodes.Const(value=str() as name)):
                return self._part(node, self._shape(node.node), name, optional)
            case nodes.Getitem():
                self._shape(node.node)
                self._visit(node.arg)
                return ANYTHING
        self._visit(node)
        return ANYTHING

    def _root(self, node: nodes.Name, optional: bool) -> Shape:
        name = node.name
        if node.ctx != "load" or name in self._local or name in expressions.globals:
            return ANYTHING
        known = self._scope.names or {}
        if name in known:
            return known[name]
        if not optional and (name,) not in self._asked:
            told = [part for part, shape in known.items() if name in (shape.names or {})]
            suggestion = f'did you mean "{told[0]}.{name}"?' if told else meant(name, known)
            if name in expressions.filters:
                suggestion = suggestion or f'as a filter it is written "… | {name}"'
            self._note((name,), f"there is no name {name!r} in expressions", suggestion, node)
        return ANYTHING

    def _part(self, node: nodes.Expr, whole: Shape, name: str, optional: bool) -> Shape:
        chain = path_of(node)
        inner = whole.inner(name)
        excused = optional or chain in self._asked
        if isinstance(inner, Gone):
            if not excused:
                self._note(chain, f"{'.'.join(chain)} {inner.why}", inner.suggestion, node)
            return ANYTHING
        if whole.lacks(name) and not excused:
            around = ".".join(chain[:-1])
            if whole.names is not None:
                known = {
                    key for key, shape in whole.names.items() if not isinstance(shape, Gone) and not is_filled(key)
                }
                suggestion = meant(name, known, written=f"{around}.{{}}") or _all(known)
                if whole.passing:
                    message = f"no image {name!r} is published; until one is, the step fails"
                    self._note(chain, message, meant(name, known), node, warning=True)
                else:
                    self._note(chain, f"there is no {'.'.join(chain)}", suggestion, node)
            else:
                self._note(chain, f"{around} is {_KINDS.get(whole.kind, 'a value')}, which has no {name!r}", "", node)
        return inner

    def _note(
        self, chain: tuple[str, ...], message: str, suggestion: str, node: nodes.Node, *, warning: bool = False
    ) -> None:
        if chain and chain in self._told:
            return
        self._told.add(chain)
        self._found.append(Wrong(message, suggestion, node.lineno - 1, warning))


_KINDS: dict[type | None, str] = {
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    list: "a list",
}


def _all(known: set[str]) -> str:
    """The existing names, as a part of a sentence."""
    return f"there are: {', '.join(sorted(known))}" if 0 < len(known) <= 8 else ""
