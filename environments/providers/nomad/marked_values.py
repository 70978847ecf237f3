"""Marks the characters of values, so that they can be found in the job that Nomad returns for a job file.

Each character is replaced by one that is used nowhere else, one to one. Order and case of letters are preserved, so
that functions such as `sort`, `upper` and `split` preserve the marks. Text with such characters in the returned job
comes from a value.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

ACTIVE = frozenset("$%{}\"'`\\")
"""A text without any of these can't change what Nomad, HCL or a template does."""

DOLLARS = frozenset("$%{}")
"""Outside of templates, a text without any of these can't change what Nomad or HCL does."""


class _Unencoded(Container[str]):
    def __contains__(self, character: object) -> bool:
        return isinstance(character, str) and character > " " and character not in '"\\<>&\x7f\u2028\u2029'


UNENCODED = _Unencoded()
"""Characters that `jsonencode` doesn't escape."""

CONTROLS = frozenset(map(chr, [*range(9), *range(10, 32), 127]))
"""Characters that end a line, or that the text of a template should not contain."""

_LOW = 0xE000  # characters that sort before "A": digits, blanks, most punctuation; for some marks all of ASCII
_CAPITALS = 0x10400  # Deseret: the only script with enough letters in two cases that job files don't use
_SMALL = 0x10428
_SMALL_BETWEEN = _SMALL + 26  # the lower case of the letters between, which follow the capitals
_ABOVE = 0xF0000  # characters that sort after "z"
_RESERVED = re.compile(r"[\ue000-\ue07f\U00010400-\U0001044f\U000f0000-\U0010ffff]")
_JSON_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"(\s*:)?', re.DOTALL)
_DEPTH = 3
"""How many nested encodings of a text are decoded."""


def reserved(text: str) -> bool:
    """Whether a text contains characters that are used as marks."""
    return _RESERVED.search(text) is not None


def texts(value: Any) -> Iterator[str]:
    """All texts in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)


@dataclass(frozen=True)
class Marked:
    """A marked value, and the texts in it that have no marks."""

    value: Any
    kept: tuple[str, ...] = ()
    whole: bool = False
    """Whether each character is marked, except in keys."""


class Marking:
    """Replaces the characters of values by marks, and marks by characters."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """`values`: all values that will be marked."""
        found = {character for text in texts(values) for inside in depths(text) for character in inside}
        above = sorted(character for character in found if character > "z")
        marks = {chr(point): _low_mark(point) for point in range(ord("z") + 1)}
        marks |= {character: chr(_ABOVE + rank) for rank, character in enumerate(above)}
        some = {chr(point): chr(_LOW + point) for point in range(128)}
        self._marks = str.maketrans(marks)
        # Encoders for YAML don't escape these marks, unlike characters with longer codes.
        self._some = marks | some
        self._tables: dict[Container[str], dict[int, str]] = {}
        self._back = {mark: character for found in (marks, some) for character, mark in found.items()}
        self._back |= {chr(_SMALL_BETWEEN + rank): chr(ord("Z") + 1 + rank) for rank in range(6)}
        self._unmarks = str.maketrans(self._back)

    def mark(self, text: str) -> str:
        """The text with each character marked."""
        return text.translate(self._marks)

    def mark_some(self, text: str, which: Container[str] = ACTIVE) -> str:
        """The text with some characters marked: by default those that could change what Nomad does."""
        if which not in self._tables:
            chosen = {sign: mark for sign, mark in self._some.items() if sign in which or reserved(sign)}
            self._tables[which] = str.maketrans(chosen)
        return text.translate(self._tables[which])

    def unmark(self, text: str) -> str:
        """The original text."""
        return text.translate(self._unmarks)

    def foreign(self, text: str) -> list[bool]:
        """For each character, whether it is a mark."""
        return [sign in self._back for sign in text]

    def gaps(self, text: str) -> str:
        """The text with zeros in place of marks."""
        return _RESERVED.sub("\0", text)

    def tracked(self, value: Any) -> Iterator[Marked]:
        """Ways to mark each character of the value: all of it, all but keys, inside of JSON or base64 that it contains.

        A text that the job file decodes must still be decodable, and an object must keep the attributes that the file
        names.
        """
        seen = []
        # What a text decodes to may decode by chance as well: so each depth is marked that a job file may decode to.
        inside: list[Callable[[str], str]] = [partial(self._inside, depth=depth) for depth in range(1, _DEPTH + 1)]
        for change in (self.mark, self._in_json, self._in_json_values, self._in_base64, *inside):
            for keys in (change, self.mark_some):
                kept: list[str] = []
                if keys == self.mark_some:
                    kept += _keys(value)
                if change == self._in_json_values:
                    kept += [inside for text in texts(value) for inside in _json_texts(text, keys=True) or ()]
                marked = _mapped(value, change, keys)
                if marked not in seen:
                    seen.append(marked)
                    yield Marked(marked, tuple(kept), whole=True)

    def partly(self, value: Any, which: Container[str] = ACTIVE) -> Marked:
        """The value with marks only on characters that could change what Nomad does."""

        def change(text: str) -> str:
            return self.mark_some(text, which)

        return Marked(_mapped(value, change, change), tuple(texts(value)))

    def _in_json(self, text: str) -> str:
        return self.mark(text) if _json_texts(text) is None else _in_json(text, self.mark, self.mark)

    def _in_json_values(self, text: str) -> str:
        return self.mark(text) if _json_texts(text) is None else _in_json(text, self.mark, self.mark_some)

    def _in_base64(self, text: str) -> str:
        inside = decoded(text)
        return self.mark(text) if inside is None else encoded(self.mark(inside))

    def _inside(self, text: str, depth: int) -> str:
        """The text, marked inside of as many encodings as it has, `depth` at most."""

        def deeper(inside: str) -> str:
            return self._inside(inside, depth - 1)

        if depth == 0:
            return self.mark(text)
        if _json_texts(text) is not None:
            return _in_json(text, deeper, self.mark)
        inside = decoded(text)
        return self.mark(text) if inside is None else encoded(deeper(inside))


def depths(text: str, depth: int = 0) -> Iterator[str]:
    """The text, and the texts inside of it in JSON or base64, up to `depth` times nested."""
    yield text
    if depth < _DEPTH:
        for inside in [*(_json_texts(text) or ()), *filter(None, [decoded(text)])]:
            yield from depths(inside, depth + 1)


def harmless(value: Any) -> Any:
    """The value without characters that could change what Nomad does, to find out what depends on them."""

    def change(text: str) -> str:
        return "".join("x" if character in ACTIVE or character in CONTROLS else character for character in text)

    return _mapped(value, change, change)


def _low_mark(point: int) -> str:
    if point < ord("A"):
        return chr(_LOW + point)
    return chr(_CAPITALS + point - ord("A") if point < ord("a") else _SMALL + point - ord("a"))


def _mapped(value: Any, change: Callable[[str], str], keys: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {keys(str(key)): _mapped(item, change, keys) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(item, change, keys) for item in value]
    return value


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from map(str, value)
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _keys(item)


def _json_texts(text: str, *, keys: bool = False) -> list[str] | None:
    """The texts (or only the keys) inside of a list, an object or a text in JSON; None if it is not JSON."""
    if not text.lstrip().startswith(("{", "[", '"')):
        return None
    try:
        json.loads(text)
        return [
            json.loads(found[0].removesuffix(found[1] or ""))
            for found in _JSON_TEXT.finditer(text)
            if found[1] or not keys
        ]
    except (ValueError, RecursionError):
        return None


def _in_json(text: str, change: Callable[[str], str], keys: Callable[[str], str]) -> str:
    def changed(found: re.Match[str]) -> str:
        colon = found[1] or ""
        inside = json.loads(found[0].removesuffix(colon))
        return json.dumps((keys if colon else change)(inside), ensure_ascii=False) + colon

    return _JSON_TEXT.sub(changed, text)


def decoded(text: str) -> str | None:
    """The decoded text, if the text is base64; else None."""
    try:
        return base64.b64decode(text, validate=True).decode() or None
    except (ValueError, binascii.Error):
        return None


def encoded(text: str) -> str:
    """The base64 of the text."""
    return base64.b64encode(text.encode()).decode()
