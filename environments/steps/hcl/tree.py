"""An HCL file as a tree: its blocks and arguments, each with its line. Expressions stay tokens.

It reads what HCL's syntax specification calls the structural language ("Bodies", "Attribute Definitions", "Blocks").
Syntax errors are listed in `problems`, and the rest is read as far as possible.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from environments.steps.hcl.expressions import expression_fault
from environments.steps.hcl.tokens import Broken, Kind, Scanner, Token, chains, unescaped


@dataclass(frozen=True)
class Attribute:
    """`name = expression`, with the tokens of the expression."""

    name: str
    at: int
    tokens: Sequence[Token]

    @property
    def text(self) -> str | None:
        """The value if it is a string without code in it."""
        parts = self.parts
        return None if parts is None or any(code for code, _ in parts) else "".join(text for _, text in parts)

    @property
    def parts(self) -> list[tuple[bool, str]] | None:
        """The parts of a value that is one string, as written, each with whether it is code. None for other values."""
        tokens = self.tokens
        if len(tokens) < 2 or tokens[0].kind is not Kind.OPEN:
            return None
        depth = 0
        parts: list[tuple[bool, str]] = []
        code: list[str] = []
        for token in tokens[1:]:
            if depth == 0 and token.kind is Kind.CLOSE:
                return parts if token is tokens[-1] else None
            if token.kind is Kind.CODE:
                depth += 1
                code = [] if depth == 1 else [*code, token.text]
            elif token.kind is Kind.END:
                depth -= 1
                if depth == 0:
                    parts.append((True, "".join(code)))
                else:
                    code.append(token.text)
            elif depth:
                code.append(token.text)
            else:
                parts.append((False, unescaped(token.text) if tokens[0].text == '"' else token.text))
        return None

    @property
    def word(self) -> str | None:
        """The value if it is one word or number, such as `true` or `3`."""
        words = [token for token in self.tokens if token.kind is not Kind.LINE]
        if len(words) == 2 and words[0].text == "-" and words[1].kind is Kind.NUMBER:
            return f"-{words[1].text}"
        return words[0].text if len(words) == 1 and words[0].kind in (Kind.WORD, Kind.NUMBER) else None

    def chains(self) -> Iterator[tuple[tuple[str, ...], int]]:
        """Every path such as `("var", "image")` in the expression, with its position."""
        yield from chains(self.tokens)


@dataclass
class Body:
    """The content of a block, or of the file."""

    attributes: list[Attribute] = field(default_factory=list)
    blocks: "list[Block]" = field(default_factory=list)

    def attribute(self, name: str) -> Attribute | None:
        """The argument of that name."""
        return next((found for found in self.attributes if found.name == name), None)

    def of(self, *kinds: str) -> "Iterator[Block]":
        """The blocks of these kinds."""
        return (block for block in self.blocks if block.kind in kinds)


@dataclass
class Block:
    """`kind "label" { … }`."""

    kind: str
    labels: tuple[str, ...]
    at: int
    body: Body = field(default_factory=Body)


@dataclass
class Tree:
    """A parsed file."""

    body: Body
    problems: list[Broken]
    lines: Sequence[int]

    def place(self, at: int) -> tuple[int, int]:
        """Line and column, from 1, of a position."""
        line = bisect_right(self.lines, at)
        return line, at - self.lines[line - 1] + 1

    def walk(self) -> Iterator[tuple[Block, Block | None]]:
        """Every block with its parent, in the order of the file."""
        waiting: list[tuple[Block, Block | None]] = [(block, None) for block in reversed(self.body.blocks)]
        while waiting:
            block, around = waiting.pop()
            yield block, around
            waiting += [(inner, block) for inner in reversed(block.body.blocks)]

    def attributes(self) -> Iterator[Attribute]:
        """Every argument of the file."""
        yield from self.body.attributes
        for block, _ in self.walk():
            yield from block.body.attributes


@lru_cache(maxsize=8)
def parse(text: str) -> Tree:
    """The tree of a file."""
    scanner = Scanner(text)
    tokens = list(scanner.tokens())
    lines = [0, *(found.end() for found in re.finditer("\n", text))]
    parser = _Parser(tokens)
    body = parser.file()
    # What comes first is the cause; behind a text without an end nothing can be told, nor of braces around it.
    broken = sorted([*scanner.broken, *parser.problems, *(() if scanner.broken else parser.open)])
    first = min((found.at for found in scanner.broken), default=len(text) + 1)
    return Tree(body, [found for found in broken if found.at <= first], lines)


@dataclass
class _Around:
    """A block that is being read. `line`: its content begins in the line of its brace; `refused`: that was reported."""

    body: Body
    block: Block | None
    line: bool = False
    refused: bool = False


def _is(token: Token, sign: str) -> bool:
    return token.kind is Kind.SIGN and token.text == sign


class _Parser:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._number = 0
        self.problems: list[Broken] = []
        self.open: list[Broken] = []
        """Reports blocks that aren't closed."""

    def file(self) -> Body:
        top = Body()
        around: list[_Around] = [_Around(top, None)]
        while self._number < len(self._tokens):
            token = self._tokens[self._number]
            inner = around[-1]
            if token.kind is Kind.LINE:
                self._number += 1
            elif _is(token, "}"):
                self._number += 1
                if len(around) > 1:
                    around.pop()
                    self._ended(around[-1], f"the block {inner.block.kind!r}" if inner.block else "")
                else:
                    self.problems.append(Broken(token.at, "a brace too many: no block is open here"))
            elif (found := self._item(token)) is None:
                inner.line = False
            elif isinstance(found, Attribute):
                inner.body.attributes.append(found)
                self._ended(inner, f"the value of {found.name!r}")
            else:
                inner.body.blocks.append(found)
                if inner.line and inner.block is not None:
                    self._too_much(found.at, inner)
                around.append(_Around(found.body, found, line=not self._line_ends()))
        self.open = [
            Broken(inner.block.at, f"the block {inner.block.kind!r} that begins here has no closing brace")
            for inner in around
            if inner.block is not None
        ]
        return top

    def _line_ends(self) -> bool:
        return self._number >= len(self._tokens) or self._tokens[self._number].kind is Kind.LINE

    def _ended(self, inner: "_Around", what: str) -> None:
        """Reports if tokens follow an argument or a block in its line, or if the line ends where the block had to."""
        closes = self._number < len(self._tokens) and _is(self._tokens[self._number], "}")
        if inner.line and not closes:
            self._too_much(self._tokens[self._number - 1].at, inner)
        elif not inner.line and not inner.refused and not self._line_ends():
            self._told(self._tokens[self._number].at, f"a line end is missing behind {what}")

    def _too_much(self, at: int, inner: "_Around") -> None:
        kind = inner.block.kind if inner.block else ""
        message = f"the block {kind!r} in one line can hold one argument and nothing else"
        self._told(at, f"{message}; begin a line behind each brace")
        inner.line, inner.refused = False, True

    def _told(self, at: int, message: str) -> None:
        """Reports a problem, unless one is reported at that position."""
        if not self.problems or self.problems[-1].at != at:
            self.problems.append(Broken(at, message))

    def _item(self, first: Token) -> Attribute | Block | None:
        """The argument or the head of the block that begins here; if it is neither, skips it and returns None."""
        if first.kind is Kind.OPEN:
            self._wrong(first, "here must be the name of an argument or a block, without quotes")
            return None
        if first.kind is not Kind.WORD:
            self._wrong(first, "here must be the name of an argument or a block")
            return None
        labels: list[str] = []
        number = self._number + 1
        while number < len(self._tokens):
            token = self._tokens[number]
            if token.kind is Kind.WORD:
                labels.append(token.text)
                number += 1
            elif token.kind is Kind.OPEN and token.text == '"':
                number += 1
                label = ""
                while number < len(self._tokens) and self._tokens[number].kind not in (Kind.CLOSE, Kind.LINE):
                    label += self._tokens[number].text
                    number += 1
                labels.append(label)
                number += 1
            elif token.text == "{" and token.kind is Kind.SIGN:
                self._number = number + 1
                return Block(first.text, tuple(labels), first.at)
            elif token.text == "=" and token.kind is Kind.SIGN and not labels:
                self._number = number + 1
                return Attribute(first.text, first.at, self._expression(first))
            else:
                break
        self._wrong(first, f"behind {first.text!r} there must be an equals sign or a block's brace")
        return None

    def _expression(self, name: Token) -> Sequence[Token]:
        begin, depth, texts, told = self._number, 0, 0, len(self.problems)
        while self._number < len(self._tokens):
            token = self._tokens[self._number]
            if token.kind in (Kind.OPEN, Kind.CODE):
                texts += 1
            elif token.kind in (Kind.CLOSE, Kind.END):
                texts -= 1
            elif texts == 0 and token.kind is Kind.SIGN and token.text in ("{", "[", "("):
                depth += 1
            elif texts == 0 and token.kind is Kind.SIGN and token.text in ("}", "]", ")"):
                if depth == 0:
                    break
                depth -= 1
            elif texts == 0 and depth == 0 and token.kind is Kind.LINE:
                break
            elif texts == 0 and depth == 0 and token.kind is Kind.SIGN and token.text == "=":
                self.problems.append(Broken(token.at, f"a line end is missing behind the value of {name.text!r}"))
            self._number += 1
        found = self._tokens[begin : self._number]
        if not found:
            self.problems.append(Broken(name.at, f"the argument {name.text!r} has no value"))
        if depth:
            self.problems.append(Broken(name.at, f"the value of {name.text!r} has a bracket without an end"))
        if len(self.problems) == told and (fault := expression_fault(name, found)) is not None:
            self.problems.append(fault)
        return found

    def _wrong(self, token: Token, message: str) -> None:
        """Reports a problem, and skips the line."""
        self.problems.append(Broken(token.at, message))
        self._number += 1
        while self._number < len(self._tokens) and self._tokens[self._number].kind is not Kind.LINE:
            if self._tokens[self._number].text in ("{", "}") and self._tokens[self._number].kind is Kind.SIGN:
                break
            self._number += 1
        if self._number < len(self._tokens) and self._tokens[self._number].text == "{":
            self._number += 1
