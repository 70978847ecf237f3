"""The blocks of an HCL file (of OpenTofu or Nomad), found in one pass without evaluating anything.

Comments, strings, heredocs and the templates inside of them are told apart as HCL's syntax specification does it
("Lexical Elements", "Template Expressions"): a brace or a word in one of them is no block. Each step moves forward by
at least one character and looks at no more than what it moves over, so the work grows linearly with the text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

_WORD = re.compile(r"[^\W\d][\w-]*")
_HEREDOC = re.compile(r"<<(-?)([^\W\d][\w-]*)[ \t\r]*\n")
_PLAIN_CODE = re.compile(r"[^\w\"#/<{}=\n]+|\d[\w.]*")
_PLAIN_QUOTED = re.compile(r"[^\"\\$%\n]+")
_PLAIN_LINE = re.compile(r"[^$%\n]+")


class Block(NamedTuple):
    """The words and labels before a `{`, and those of the block around it; None: it stands in the file itself."""

    header: tuple[str, ...]
    around: tuple[str, ...] | None


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a file and those directly inside of them, as they begin; no braces of objects and templates."""
    return _Scanner(text).blocks()


@dataclass
class _Heredoc:
    mark: str


@dataclass
class _Quoted:
    begin: int


@dataclass
class _Code:
    """Code of the file itself, or (`inner`) in a template, which ends with its brace."""

    inner: bool
    around: list[tuple[str, ...] | None] = field(default_factory=list)
    header: list[str] = field(default_factory=list)
    assigned: bool = False


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._stack: list[_Code | _Quoted | _Heredoc] = [_Code(inner=False)]
        self.steps = 0
        """How many steps it took, for the test that they grow linearly."""

    def blocks(self) -> Iterator[Block]:
        while self._at < len(self._text):
            self.steps += 1
            where = self._stack[-1]
            if isinstance(where, _Code):
                found = self._code(where)
                if found is not None:
                    yield found
            elif isinstance(where, _Quoted):
                self._quoted(where)
            else:
                self._heredoc(where)

    def _code(self, where: _Code) -> Block | None:
        text, at = self._text, self._at
        character = text[at]
        if character == "#" or text.startswith("//", at):
            self._at = self._behind("\n", at, keep=True)
        elif text.startswith("/*", at):
            self._at = self._behind("*/", at + 2)
        elif character == '"':
            self._stack.append(_Quoted(at + 1))
            self._at += 1
        elif character == "<" and (heredoc := _HEREDOC.match(text, at)):
            self._stack.append(_Heredoc(heredoc[2]))
            self._at = heredoc.end()
        elif character == "{":
            self._at += 1
            return self._open(where)
        elif character == "}":
            self._at += 1
            self._close(where)
        elif character == "\n":
            where.header, where.assigned = [], False
            self._at += 1
        elif character == "=":
            where.header, where.assigned = [], True
            self._at += 1
        elif word := _WORD.match(text, at):
            where.header.append(word[0])
            self._at = word.end()
        else:
            plain = _PLAIN_CODE.match(text, at)
            if plain is None or not plain[0].isspace():
                where.header = []
            self._at = plain.end() if plain else at + 1
        return None

    def _open(self, where: _Code) -> Block | None:
        """A block has a word before its brace; the brace of an object follows an operator."""
        header = tuple(where.header)
        known = bool(header) and not where.assigned and not where.inner
        depth, around = len(where.around), where.around[0] if where.around else None
        where.around.append(header if known else None)
        where.header, where.assigned = [], False
        return Block(header, around) if known and (depth == 0 or (depth == 1 and around)) else None

    def _close(self, where: _Code) -> None:
        where.header, where.assigned = [], False
        if where.around:
            where.around.pop()
        elif where.inner:
            self._stack.pop()

    def _quoted(self, where: _Quoted) -> None:
        text, at = self._text, self._at
        if text[at] in '"\n':
            self._stack.pop()
            self._at += 1 if text[at] == '"' else 0
            outer = self._stack[-1]
            if isinstance(outer, _Code):
                outer.header.append(text[where.begin : at])
        elif text[at] == "\\":
            self._at += 2
        elif plain := _PLAIN_QUOTED.match(text, at):
            self._at = plain.end()
        else:
            self._template()

    def _heredoc(self, where: _Heredoc) -> None:
        text, at = self._text, self._at
        if text[at - 1] == "\n":
            end = text.find("\n", at)
            line = text[at:] if end < 0 else text[at:end]
            if line.strip() == where.mark:
                self._stack.pop()
                self._at += len(line)
                return
        if text[at] == "\n":
            self._at += 1
        elif plain := _PLAIN_LINE.match(text, at):
            self._at = plain.end()
        else:
            self._template()

    def _template(self) -> None:
        """At a `$` or a `%`: the beginning of a template, or just a character."""
        text, at = self._text, self._at
        if text[at + 1 : at + 2] == "{":
            self._stack.append(_Code(inner=True))
            self._at += 2
        elif text[at + 1 : at + 3] == f"{text[at]}{{":
            self._at += 3
        else:
            self._at += 1

    def _behind(self, sign: str, at: int, *, keep: bool = False) -> int:
        found = self._text.find(sign, at)
        return len(self._text) if found < 0 else found + (0 if keep else len(sign))
