"""Faults of any HCL file: syntax errors, and names that it uses and doesn't declare."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from environments.domain.faults import Fault, meant
from environments.steps.hcl.tokens import Kind, Token, chains
from environments.steps.hcl.tree import Attribute, Tree

_MOST_PROBLEMS = 5
"""Maximum syntax errors that are reported: later ones are mostly caused by the first."""

_LOOP_WORDS = frozenset({"in", "if", "for", "else", "endif", "endfor"})
"""Keywords of loops and conditions that may precede a bracket."""

_TYPES = frozenset({"list", "set", "map", "object", "tuple", "optional", "any"})
"""Type constructors, which look like functions."""


class Source:
    """A file of a template, whose faults are collected."""

    def __init__(self, file: str, tree: Tree) -> None:
        self.file = file
        self.tree = tree

    def fault(self, at: int, message: str, suggestion: str = "", *, warning: bool = False) -> Fault:
        """A fault at a position of the file."""
        line, column = self.tree.place(at)
        return Fault(message=message, suggestion=suggestion, file=self.file, line=line, column=column, warning=warning)

    def syntax(self) -> Iterator[Fault]:
        """The syntax errors."""
        for found in self.tree.problems[:_MOST_PROBLEMS]:
            yield self.fault(found.at, found.message)

    def undeclared(self, known: Mapping[str, Iterable[str]], noun: Mapping[str, str]) -> Iterator[Fault]:
        """Names such as `var.image` that aren't in `known`, by their first word. `noun`: what such a name is called."""
        told: set[tuple[str, ...]] = set()
        for attribute in self.tree.attributes():
            own = {"for"} & {token.text for token in attribute.tokens} and _loop_names(attribute.tokens)
            for chain, at in chains(attribute.tokens):
                root, name = chain[:2]
                if root not in known or name in known[root] or (own and root in own) or (root, name) in told:
                    continue
                told.add((root, name))
                suggestion = meant(name, known[root], written=f"{root}.{{}}")
                yield self.fault(at, f"{root}.{name} is used, but no {noun[root]} {name!r} is declared", suggestion)

    def calls(self, functions: frozenset[str], refused: Mapping[str, str]) -> Iterator[Fault]:
        """Functions that don't exist. `refused`: functions that exist and can't be used, with the reason."""
        for attribute in self.tree.attributes():
            if attribute.name == "type":
                continue
            for name, at in _called(attribute):
                if name in refused:
                    yield self.fault(at, f"the function {name!r} can't be used: {refused[name]}")
                elif name not in functions and name not in _TYPES:
                    yield self.fault(at, f"there is no function {name!r}", meant(name, functions))


def _called(attribute: Attribute) -> Iterator[tuple[str, int]]:
    tokens = attribute.tokens
    for number, token in enumerate(tokens[:-1]):
        after = tokens[number + 1]
        before = tokens[number - 1].text if number else ""
        opens = after.text == "(" and after.kind is Kind.SIGN
        if token.kind is Kind.WORD and opens and before not in (".", ":") and token.text not in _LOOP_WORDS:
            yield token.text, token.at


def _loop_names(tokens: Sequence[Token]) -> set[str]:
    """The names that `for a, b in` declares."""
    names: set[str] = set()
    for number, token in enumerate(tokens):
        if token.kind is Kind.WORD and token.text == "for":
            names |= {found.text for found in tokens[number + 1 : number + 4] if found.kind is Kind.WORD}
    return names - {"in"}
