"""Where the keys and values of a TOML file are, which `tomllib` doesn't tell.

The text must be TOML (`tomllib` has read it): then tables, keys and values can be told apart by their first characters
(TOML 1.0, "Keys", "Table", "Array of Tables"). Each step moves forward, so the work grows linearly with the text.
"""

import re
from bisect import bisect_right

from environments.domain.faults import Path

BYTE_ORDER_MARK = "\ufeff"
"""Some editors begin a file with it; it says nothing."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL = re.compile(r"'[^'\n]*'")
_LONG_BASIC = re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''(?:[^']|'(?!''))*'{3,5}", re.DOTALL)
_SCALAR = re.compile(r"[^,\]}\n#]+")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}

_DEEPEST = 100
"""Values in values; what is deeper has the place of what it is in."""

_LONGEST_KEY = 64
"""Parts of a key that are told apart."""


class TomlPlaces:
    """The places of a TOML file's parts."""

    def __init__(self, text: str) -> None:
        self._text = text = text.removeprefix(BYTE_ORDER_MARK)
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self._found: dict[Path, int] = {}
        self._lists: dict[Path, int] = {}
        try:
            self._document()
        except (IndexError, ValueError):
            return  # not TOML: what was found until there is right

    def find(self, path: Path) -> tuple[int, int] | None:
        """Line and column, from 1, of the part or the nearest one around it; None without any."""
        for length in range(len(path), 0, -1):
            position = self._found.get(path[:length])
            if position is not None:
                line = bisect_right(self._lines, position)
                return line, position - self._lines[line - 1] + 1
        return None

    def _document(self) -> None:
        text, at = self._text, 0
        table: Path = ()
        while (at := self._blank(at)) < len(text):
            if text.startswith("[[", at):
                start = at
                keys, at = self._key(at + 2)
                parent = self._resolved(keys[:-1])
                number = self._lists.get((*parent, keys[-1]), -1) + 1
                self._lists[(*parent, keys[-1])] = number
                table = (*parent, keys[-1], number)
                self._note_all(table, start)
                at = text.index("]]", at) + 2
            elif text[at] == "[":
                start = at
                keys, at = self._key(at + 1)
                table = self._resolved(keys)
                self._note_all(table, start)
                at = text.index("]", at) + 1
            else:
                at = self._assignment(table, at, 0)

    def _resolved(self, keys: Path) -> Path:
        """The path of a table's header: in a list of tables its last one is meant."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            if path in self._lists:
                path = (*path, self._lists[path])
        return path

    def _assignment(self, table: Path, at: int, depth: int) -> int:
        start = at
        keys, at = self._key(at)
        path = (*table, *keys)
        for length in range(len(table) + 1, len(path) + 1):
            self._note(path[:length], start)
        at = self._text.index("=", at) + 1
        return self._value(path, at, depth)

    def _value(self, path: Path, at: int, depth: int) -> int:
        text = self._text
        at = self._space(at)
        if text.startswith('"""', at):
            return self._end(_LONG_BASIC, at)
        if text.startswith("'''", at):
            return self._end(_LONG_LITERAL, at)
        if text[at] == '"':
            return self._end(_BASIC, at)
        if text[at] == "'":
            return self._end(_LITERAL, at)
        if text[at] == "[":
            return self._list(path, at + 1, depth + 1)
        if text[at] == "{":
            return self._inline(path, at + 1, depth + 1)
        return self._end(_SCALAR, at)

    def _list(self, path: Path, at: int, depth: int) -> int:
        self._bound(depth)
        number = 0
        while True:
            at = self._blank(at)
            if self._text[at] == "]":
                return at + 1
            if self._text[at] == ",":
                at += 1
                continue
            self._note((*path, number), at)
            at = self._value((*path, number), at, depth)
            number += 1

    def _inline(self, path: Path, at: int, depth: int) -> int:
        self._bound(depth)
        while True:
            at = self._blank(at)
            if self._text[at] == "}":
                return at + 1
            at = at + 1 if self._text[at] == "," else self._assignment(path, at, depth)

    def _key(self, at: int) -> tuple[tuple[str, ...], int]:
        """The parts of a key, with dots between them, and where it ends."""
        keys: list[str] = []
        while True:
            at = self._space(at)
            form = {'"': _BASIC, "'": _LITERAL}.get(self._text[at], _BARE)
            end = self._end(form, at)
            word = self._text[at:end]
            if len(keys) < _LONGEST_KEY:
                keys.append(_plain(word))
            at = self._space(end)
            if not self._text.startswith(".", at):
                return tuple(keys), at
            at += 1

    def _end(self, form: "re.Pattern[str]", at: int) -> int:
        found = form.match(self._text, at)
        if found is None:
            raise ValueError
        return found.end()

    def _blank(self, at: int) -> int:
        return self._end(_BLANK, at)

    def _space(self, at: int) -> int:
        return self._end(_SPACE, at)

    def _note(self, path: Path, at: int) -> None:
        self._found.setdefault(path, at)

    def _note_all(self, path: Path, at: int) -> None:
        for length in range(1, len(path) + 1):
            self._note(path[:length], at)

    @staticmethod
    def _bound(depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError


def _plain(word: str) -> str:
    if word.startswith("'"):
        return word[1:-1]
    if word.startswith('"'):
        return _ESCAPE.sub(_character, word[1:-1])
    return word


def _character(found: "re.Match[str]") -> str:
    digits = found[1] or found[2]
    return chr(int(digits, 16)) if digits else _ESCAPED.get(found[3], found[3])
