"""Where in a template of Nomad its text is, and where its code (Go's text/template)."""

from enum import Enum

LEFT, RIGHT = "{{", "}}"


class Place(Enum):
    """What a character of a template belongs to."""

    TEXT = "text"
    CODE = "code"
    QUOTED = "quoted"
    """Inside of a quoted text of an action."""


def places(text: str, left: str = "", right: str = "") -> list[Place]:
    """The place of each character. `left` and `right`: the delimiters, `{{` and `}}` if empty."""
    left, right = left or LEFT, right or RIGHT
    found = [Place.TEXT] * len(text)
    position = 0
    while (start := text.find(left, position)) >= 0:
        position = _action(text, start, start + len(left), right, found)
    return found


def _action(text: str, start: int, position: int, right: str, found: list[Place]) -> int:
    """Notes the action that begins at `start`, whose inside begins at `position`. Gives the position after it."""
    inside = text[position : position + 4].removeprefix("- ")
    if inside.startswith("/*"):
        end = text.find("*/", position)
        position = len(text) if end < 0 else end + 2
    quoted: list[range] = []
    while position < len(text) and not text.startswith(right, position):
        quote = text[position]
        position += 1
        if quote in "\"'`":
            begin = position
            position = _closing(text, position, quote)
            quoted.append(range(begin, position))
            position += 1
    position = min(position + len(right), len(text))
    found[start:position] = [Place.CODE] * (position - start)
    for part in quoted:
        found[part.start : part.stop] = [Place.QUOTED] * len(part)
    return position


def _closing(text: str, position: int, quote: str) -> int:
    """The position of the closing quote; the end of the text if there is none."""
    while position < len(text) and text[position] != quote:
        position += 2 if text[position] == "\\" and quote != "`" else 1
    return min(position, len(text))
