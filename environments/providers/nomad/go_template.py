"""Distinguishes text and code in a template of Nomad (Go's text/template)."""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

LEFT, RIGHT = "{{", "}}"


class Place(Enum):
    """The part of a template that a character belongs to."""

    TEXT = "text"
    CODE = "code"
    QUOTED = "quoted"
    """In a quoted text of an action."""


class Action(NamedTuple):
    """An action, `{{ … }}`: its characters from `start` to `end`, and those between the delimiters."""

    start: int
    begin: int
    stop: int
    end: int
    comment: bool
    quoted: Sequence[range]
    """The quoted texts, without their quotes."""

    @property
    def open(self) -> bool:
        """Whether it has no end."""
        return self.stop == self.end


def actions(text: str, left: str = "", right: str = "") -> Iterator[Action]:
    """The actions from the first to the last. `left` and `right`: the delimiters, `{{` and `}}` if empty."""
    left, right = left or LEFT, right or RIGHT
    position = 0
    while (start := text.find(left, position)) >= 0:
        found = _action(text, start, start + len(left), right)
        yield found
        position = found.end


def unclosed(text: str, left: str = "", right: str = "") -> bool:
    """Whether the last action has no end. `left` and `right`: the delimiters, `{{` and `}}` if empty."""
    return any(action.open for action in actions(text, left, right))


def places(text: str, left: str = "", right: str = "") -> list[Place]:
    """The place of each character. `left` and `right`: the delimiters, `{{` and `}}` if empty."""
    found = [Place.TEXT] * len(text)
    for action in actions(text, left, right):
        found[action.start : action.end] = [Place.CODE] * (action.end - action.start)
        for part in action.quoted:
            found[part.start : part.stop] = [Place.QUOTED] * len(part)
    return found


def _action(text: str, start: int, begin: int, right: str) -> Action:
    """The action that starts at `start`, and whose code starts at `begin`."""
    position = begin
    inside = text[position : position + 4]
    if inside[:1] == "-" and inside[1:2].isspace():
        inside = inside[2:]
    comment = inside.startswith("/*")
    if comment:
        end = text.find("*/", position)
        position = len(text) if end < 0 else end + 2
    quoted: list[range] = []
    while position < len(text) and not text.startswith(right, position):
        quote = text[position]
        position += 1
        if quote in "\"'`":
            opened = position
            position = _closing(text, position, quote)
            quoted.append(range(opened, position))
            position += 1
    stop = min(position, len(text))
    return Action(start, begin, stop, min(stop + len(right), len(text)), comment, quoted)


def _closing(text: str, position: int, quote: str) -> int:
    """The position of the closing quote; the end of the text if there is none."""
    while position < len(text) and text[position] != quote:
        position += 2 if text[position] == "\\" and quote != "`" else 1
    return min(position, len(text))
