"""Checks that tokens are an expression of HCL ("Expressions" of its syntax specification), without evaluating it."""

from collections.abc import Sequence

from environments.steps.hcl.tokens import Broken, Kind, Token

_DEEPEST = 60
"""Maximum depth of nested values; deeper ones aren't checked."""

_BINARY = frozenset({"+", "-", "*", "/", "%", "==", "!=", "<", ">", "<=", ">=", "&&", "||"})

_END = Token(Kind.LINE, "", -1)


class _Found(Exception):
    def __init__(self, broken: Broken | None) -> None:
        self.broken = broken


def expression_fault(name: Token, tokens: Sequence[Token]) -> Broken | None:
    """The first fault of the tokens after `name =`; None if there is none."""
    reader = _Reader(name, tokens)
    try:
        reader.value(lines=True)
        reader.all_read()
    except _Found as found:
        return found.broken
    return None


class _Reader:
    def __init__(self, name: Token, tokens: Sequence[Token]) -> None:
        self._of = name
        self._tokens = tokens
        self._number = 0
        self._depth = 0

    def all_read(self) -> None:
        """Raises `_Found` if tokens follow the value."""
        if self._number < len(self._tokens):
            token = self._tokens[self._number]
            self._wrong(token, f"a line end or an operator is missing before {token.text[:40]!r}")

    def value(self, *, lines: bool) -> None:
        """Reads an expression. `lines`: it ends with its line."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _Found(None)
        self._operand(lines)
        while True:
            token = self._peek(lines)
            if token.kind is Kind.SIGN and token.text in _BINARY:
                self._take(lines)
                self._operand(lines)
            elif self._is(token, "?"):
                self._take(lines)
                self.value(lines=lines)
                self._expect(":", "the other value of a condition, behind a colon, is missing", lines)
                self.value(lines=lines)
                break
            else:
                break
        self._depth -= 1

    def _operand(self, lines: bool) -> None:
        token = self._take(lines)
        while token.kind is Kind.SIGN and token.text in ("-", "!"):
            token = self._take(lines)
        if token.kind is Kind.OPEN:
            self._text()
        elif token.kind is Kind.WORD:
            self._name(lines)
        elif self._is(token, "("):
            self.value(lines=False)
            self._expect(")", "a closing bracket is missing", lines=False)
        elif self._is(token, "["):
            self._list()
        elif self._is(token, "{"):
            self._table()
        elif token.kind is not Kind.NUMBER:
            self._wrong(token, "here must be a value")
        self._parts(lines)

    def _name(self, lines: bool) -> None:
        """Reads what may follow a word: the rest of a function's name, and its arguments."""
        while self._is(self._peek(lines), ":") and self._is(self._peek(lines, 1), ":"):
            self._take(lines)
            self._take(lines)
            if self._take(lines).kind is not Kind.WORD:
                raise _Found(None)
        if self._is(self._peek(lines), "("):
            self._take(lines)
            while not self._is(self._peek(False), ")"):
                self.value(lines=False)
                if self._is(self._peek(False), "..."):
                    self._take(False)
                if not self._is(self._peek(False), ")"):
                    self._expect(",", "a comma or a closing bracket is missing", lines=False)
            self._take(False)

    def _parts(self, lines: bool) -> None:
        """Reads `.name`, `.0`, `.*`, `[…]` and `[*]` after a value."""
        while True:
            token = self._peek(lines)
            if self._is(token, "."):
                self._take(lines)
                part = self._take(lines)
                if part.kind not in (Kind.WORD, Kind.NUMBER) and not self._is(part, "*"):
                    self._wrong(part, "behind the dot there must be a name")
            elif self._is(token, "["):
                self._take(lines)
                if self._is(self._peek(False), "*"):
                    self._take(False)
                else:
                    self.value(lines=False)
                self._expect("]", "a closing bracket is missing", lines=False)
            else:
                return

    def _list(self) -> None:
        if self._loop():
            self.value(lines=False)
            self._condition()
            self._expect("]", "a closing bracket is missing", lines=False)
            return
        while not self._is(self._peek(False), "]"):
            self.value(lines=False)
            if not self._is(self._peek(False), "]"):
                self._expect(",", "a comma is missing", lines=False)
        self._take(False)

    def _table(self) -> None:
        if self._loop():
            self.value(lines=False)
            self._expect("=>", "an arrow => is missing", lines=False)
            self.value(lines=False)
            if self._is(self._peek(False), "..."):
                self._take(False)
            self._condition()
            self._expect("}", "a closing brace is missing", lines=False)
            return
        while not self._is(self._peek(False), "}"):
            self._peek(False)
            self._skip()
            self.value(lines=True)
            sign = self._take(True)
            if not self._is(sign, "=") and not self._is(sign, ":"):
                self._wrong(sign, "an equals sign is missing behind the key")
            self.value(lines=True)
            behind = self._peek(True)
            if self._is(behind, ","):
                self._take(True)
            elif behind.kind is not Kind.LINE and not self._is(behind, "}"):
                self._wrong(behind, "a comma or a line end is missing")
        self._take(False)

    def _loop(self) -> bool:
        """Reads the head of a loop, up to its colon."""
        if self._peek(False)[:2] != (Kind.WORD, "for") or self._peek(False, 1).kind is not Kind.WORD:
            return False
        self._take(False)
        self._take(False)
        if self._is(self._peek(False), ","):
            self._take(False)
            self._take(False)
        word = self._take(False)
        if word.text != "in":
            self._wrong(word, "the word 'in' is missing")
        self.value(lines=False)
        self._expect(":", "a colon is missing", lines=False)
        return True

    def _condition(self) -> None:
        if self._peek(False)[:2] == (Kind.WORD, "if"):
            self._take(False)
            self.value(lines=False)

    def _text(self) -> None:
        """Reads a string to its end, with the code in it."""
        while self._number < len(self._tokens):
            token = self._tokens[self._number]
            self._number += 1
            if token.kind is Kind.CLOSE:
                return
            if token.kind is Kind.CODE:
                self._code(directive=token.text == "%{")
        raise _Found(None)

    def _code(self, *, directive: bool) -> None:
        if not directive:
            if self._is(self._peek(False), "~"):
                self._take(False)
            self.value(lines=False)
            if self._is(self._peek(False), "~"):
                self._take(False)
            token = self._take(False)
            if token.kind is not Kind.END:
                self._wrong(token, f"an operator is missing before {token.text[:40]!r}")
            return
        inner = 0
        while self._number < len(self._tokens):
            token = self._tokens[self._number]
            self._number += 1
            inner += (token.kind is Kind.CODE) - (token.kind is Kind.END)
            if inner < 0:
                return
        raise _Found(None)

    def _skip(self) -> None:
        while self._number < len(self._tokens) and self._tokens[self._number].kind is Kind.LINE:
            self._number += 1

    def _peek(self, lines: bool, ahead: int = 0) -> Token:
        if not lines:
            self._skip()
        number = self._number + ahead
        return self._tokens[number] if number < len(self._tokens) else _END

    def _take(self, lines: bool) -> Token:
        token = self._peek(lines)
        self._number += token is not _END
        return token

    def _expect(self, sign: str, message: str, lines: bool) -> None:
        token = self._take(lines)
        if not self._is(token, sign):
            self._wrong(token, message)

    def _is(self, token: Token, sign: str) -> bool:
        return token.kind is Kind.SIGN and token.text == sign

    def _wrong(self, token: Token, message: str) -> None:
        if token is _END:
            message = f"the value of {self._of.text!r} ends too early"
            raise _Found(Broken(self._tokens[-1].at if self._tokens else self._of.at, message))
        raise _Found(Broken(token.at, message))
