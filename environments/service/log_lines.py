"""Lines of the output of a container, of the bytes around a place: whole ones, first cleaned and then cut.

A secret may have several lines. So lines before those that are shown are cleaned with them, and lines at the end that
may begin a secret are shown later, when it is known how they go on.
"""

from dataclasses import dataclass

from environments.domain.cleaning import HIDDEN, Cleaner
from environments.service.log_places import Found, Place

LONGEST_LINE = 4000
"""Characters; the rest of a longer line is left out, visibly."""

_REACH = 4096
"""Bytes before a line that are cleaned with it, besides those of the longest secret."""

_GUARD = 4096
"""Characters before a cut in the middle of a line that aren't shown: a secret that is cut in two isn't recognized."""


@dataclass(frozen=True)
class Part:
    """Whole lines of one stream. `more`: there was more to read; `missed`: what followed the place is deleted."""

    lines: tuple[str, ...]
    end: Place
    more: bool = False
    missed: bool = False


def shown(found: Found, cleaner: Cleaner, *, ended: bool, last: int | None = None) -> Part:
    """The whole lines behind a place; with `last`, only so many at the end of these.

    A line that isn't complete yet comes later, unless there is too much of it, or `ended`: nothing more will be
    written. So do lines that may be the first ones of a secret.
    """
    if not found.behind:
        return Part((), found.start, found.more, found.missed)
    content, begins, all_there = found.content, found.before, ended and not (found.more or found.short)
    if found.start.midline:
        begins = content.find(b"\n", begins) + 1
        if not begins:
            count = len(content) if found.full or ended else found.before
            return Part((), found.place(count, midline=True), found.more, found.missed)
    ends = max(begins, len(content) if all_there else content.rfind(b"\n") + 1)
    if ends == begins and found.full:  # a line without an end
        line = _beginning(found, begins, cleaner)
        return Part((line,), found.place(len(content), midline=True), found.more, found.missed)
    first, _ = _first(found, begins, cleaner)
    unfinished = 0 if all_there else cleaner.unfinished(_text(content[first:ends]))
    held = _held(content, begins, ends, unfinished)
    if held > begins or not found.full:
        ends, unfinished = held, 0
    lines = _cleaned(found, _last(content, begins, ends, last), ends, cleaner, cut=all_there)
    if unfinished:  # there is no room to wait for the rest of it
        hidden = min(len(lines), _count(content, held, ends))
        lines[len(lines) - hidden :] = [HIDDEN] * hidden
    chosen = lines if last is None else lines[max(0, len(lines) - last) :]
    return Part(tuple(map(_shortened, chosen)), found.place(ends, midline=False), found.more, found.missed)


def _text(content: bytes) -> str:
    """What it says, with all ends of lines alike."""
    return content.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


def _count(content: bytes, begins: int, ends: int) -> int:
    return _text(content[begins:ends]).removesuffix("\n").count("\n") + 1


def _held(content: bytes, begins: int, ends: int, lines: int) -> int:
    """Where the last so many lines begin."""
    while lines > 0 and ends > begins:
        line = max(begins, content.rfind(b"\n", begins, ends - 1) + 1)
        lines -= _count(content, line, ends)
        ends = line
    return ends


def _last(content: bytes, begins: int, ends: int, last: int | None) -> int:
    """Where the last lines begin."""
    place = ends
    for _ in range(0 if last is None else last):
        if place <= begins:
            break
        place = content.rfind(b"\n", begins, place - 1) + 1
    return begins if last is None else max(begins, place)


def _cleaned(found: Found, begins: int, ends: int, cleaner: Cleaner, *, cut: bool = False) -> list[str]:
    """Lines without secrets and control characters; together with those before them, which aren't among the result."""
    if begins == ends:
        return []
    first, begun = _first(found, begins, cleaner)
    text = cleaner.clean(_text(found.content[first:ends]), begun=begun, cut=cut)
    return text.removesuffix("\n").split("\n")[_text(found.content[first:begins]).count("\n") :]


def _first(found: Found, begins: int, cleaner: Cleaner) -> tuple[int, bool]:
    """Where the lines begin that are cleaned with those behind a place, and whether something was before them."""
    first = max(0, begins - _REACH - 4 * cleaner.longest)
    begun = found.cut or first > 0
    if begun:  # its first line isn't whole
        behind = found.content.find(b"\n", first, begins) + 1
        # A part of a line is better than nothing.
        first = behind if 0 < behind < begins or first == 0 else first
    return first, begun


def _beginning(found: Found, begins: int, cleaner: Cleaner) -> str:
    """Of a line that is longer than a block. It is cut where nobody knows whether a secret stands there."""
    guard = max(_GUARD, cleaner.longest)
    ends = min(len(found.content), begins + 4 * (LONGEST_LINE + guard))
    text = "".join(_cleaned(found, begins, ends, cleaner))
    return f"{text[: max(0, min(LONGEST_LINE, len(text) - guard))]} … (the rest of this line isn't shown)"


def _shortened(line: str) -> str:
    return (
        line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} … ({len(line) - LONGEST_LINE} more characters)"
    )
