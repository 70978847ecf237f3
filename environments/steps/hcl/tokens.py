"""The tokens of an HCL file (of OpenTofu or Nomad), read in one pass without evaluating anything.

Comments, strings, heredocs and the templates in them are distinguished as in HCL's syntax specification
("Lexical Elements", "Template Expressions"): a brace or a word in one of them is no block. Each step moves forward by
at least one character and reads only the characters that it moves over, so the work grows linearly with the text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """The kind of a token."""

    WORD = "word"
    NUMBER = "number"
    SIGN = "sign"
    """An operator, a brace, a bracket, a comma …"""
    LINE = "line"
    """The end of a line, outside of strings."""
    OPEN = "open"
    """Begins a string: a quote, or the head of a heredoc."""
    TEXT = "text"
    CODE = "code"
    """Begins code in a string: `${` or `%{`."""
    END = "end"
    """Ends such code."""
    CLOSE = "close"


class Token(NamedTuple):
    """A token and its position in the file."""

    kind: Kind
    text: str
    at: int


class Broken(NamedTuple):
    """Something that isn't closed."""

    at: int
    message: str


_CODE = re.compile(
    r"(?P<space>[ \t\r\ufeff]+)|(?P<line>\n)|(?P<comment>(?:\#|//)[^\n]*)|(?P<long>/\*)|(?P<word>[^\W\d][\w-]*)"
    r"|(?P<number>\d[\w.]*)|(?P<heredoc><<-?([^\W\d][\w-]*)[ \t\r]*\n)|(?P<quote>\")"
    r"|(?P<sign>==|!=|<=|>=|&&|\|\||=>|\.\.\.|.)",
    re.DOTALL,
)
_QUOTED = re.compile(r"(?:[^\"\\$%\n]|\\[^\n]|\$\$\{|%%\{|[$%](?!\{))+")
_HEREDOC = re.compile(r"(?:[^$%\n]|\$\$\{|%%\{|[$%](?!\{))+")

_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))|([$%])[$%]\{", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass
class _Quoted:
    begin: int


@dataclass
class _Heredoc:
    mark: str
    begin: int


@dataclass
class _Code:
    """Code of the file itself, or (`inner`) in a string, where it ends with its brace."""

    inner: bool
    begin: int = 0
    depth: int = 0


class Scanner:
    """Reads a file once. After that, `broken` has what isn't closed."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._stack: list[_Code | _Quoted | _Heredoc] = [_Code(inner=False)]
        self.broken: list[Broken] = []
        self.steps = 0
        """The number of steps, for the test that it grows linearly."""

    def tokens(self) -> Iterator[Token]:
        """The tokens from the first to the last."""
        while self._at < len(self._text):
            self.steps += 1
            where = self._stack[-1]
            if isinstance(where, _Code):
                yield from self._code(where)
            elif isinstance(where, _Quoted):
                yield from self._quoted(where)
            else:
                yield from self._heredoc(where)
        for where in self._stack[1:]:
            what = "the code in it" if isinstance(where, _Code) else "the text"
            self.broken.append(Broken(where.begin, f"{what} that begins here has no end"))

    def _code(self, where: _Code) -> Iterator[Token]:
        text, at = self._text, self._at
        found = _CODE.match(text, at)
        assert found is not None
        self._at = found.end()
        match found.lastgroup:
            case "space" | "comment":
                return
            case "line":
                yield Token(Kind.LINE, "\n", at)
            case "long":
                end = text.find("*/", at + 2)
                if end < 0:
                    self.broken.append(Broken(at, "the comment that begins here has no end"))
                self._at = len(text) if end < 0 else end + 2
            case "word":
                yield Token(Kind.WORD, found[0], at)
            case "number":
                yield Token(Kind.NUMBER, found[0], at)
            case "heredoc":
                self._stack.append(_Heredoc(found[8], at))
                yield Token(Kind.OPEN, found[0].rstrip(), at)
            case "quote":
                self._stack.append(_Quoted(at))
                yield Token(Kind.OPEN, '"', at)
            case _:
                if found[0] == "{":
                    where.depth += 1
                elif found[0] == "}" and where.inner and where.depth == 0:
                    self._stack.pop()
                    yield Token(Kind.END, "}", at)
                    return
                elif found[0] == "}":
                    where.depth = max(0, where.depth - 1)
                yield Token(Kind.SIGN, found[0], at)

    def _quoted(self, where: _Quoted) -> Iterator[Token]:
        text, at = self._text, self._at
        if text[at] in '"\n':
            if text[at] == "\n":
                self.broken.append(Broken(where.begin, "the text that begins here doesn't end in its line"))
            self._stack.pop()
            self._at += 1 if text[at] == '"' else 0
            yield Token(Kind.CLOSE, '"', at)
        elif plain := _QUOTED.match(text, at):
            self._at = plain.end()
            yield Token(Kind.TEXT, plain[0], at)
        else:
            yield self._template()

    def _heredoc(self, where: _Heredoc) -> Iterator[Token]:
        text, at = self._text, self._at
        if text[at - 1] == "\n":
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            if end - at < 1000 + len(where.mark) and text[at:end].strip() == where.mark:
                self._stack.pop()
                self._at = end
                yield Token(Kind.CLOSE, where.mark, at)
                return
        if text[at] == "\n":
            self._at += 1
            yield Token(Kind.TEXT, "\n", at)
        elif plain := _HEREDOC.match(text, at):
            self._at = plain.end()
            yield Token(Kind.TEXT, plain[0], at)
        else:
            yield self._template()

    def _template(self) -> Token:
        """At `${`, `%{` or a backslash at the end of a line."""
        text, at = self._text, self._at
        if text[at + 1 : at + 2] == "{":
            self._stack.append(_Code(inner=True, begin=at))
            self._at += 2
            return Token(Kind.CODE, text[at : at + 2], at)
        self._at += 1
        return Token(Kind.TEXT, text[at], at)


def chains(tokens: Sequence[Token]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Every path of two or more words in tokens, with its position."""
    number = 0
    while number < len(tokens):
        token, part_of = tokens[number], number > 0 and tokens[number - 1].text == "."
        number += 1
        if token.kind is not Kind.WORD:
            continue
        chain = [token.text]
        while (
            number + 1 < len(tokens)
            and tokens[number].text == "."
            and tokens[number].kind is Kind.SIGN
            and tokens[number + 1].kind is Kind.WORD
        ):
            chain.append(tokens[number + 1].text)
            number += 2
        if len(chain) > 1 and not part_of:
            yield tuple(chain), token.at


def unescaped(text: str) -> str:
    """The value of a quoted string."""

    def character(found: "re.Match[str]") -> str:
        if found[4]:
            return f"{found[4]}{{"
        digits = found[1] or found[2]
        try:
            return chr(int(digits, 16)) if digits else _ESCAPED.get(found[3], found[3])
        except (ValueError, OverflowError):
            return found[0]

    return _ESCAPE.sub(character, text)
