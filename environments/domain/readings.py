"""Ways in which somebody may read a text: what a terminal obeys, what nobody sees and ends of lines can be left out.

Each reading knows where its characters are in the text, so what is found in it can be hidden there.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, groupby
from typing import NamedTuple

from environments.domain.literals import Span

_JOINERS = frozenset({"\u200c", "\u200d", *map(chr, range(0xE0020, 0xE0080))})

# Terminals ignore NUL and DEL also within a sequence. `*+` doesn't go back, which would take long for many of them.
_SEQUENCES = re.compile(
    r"\x1b[\x00\x7f]*+\[[0-?\x00\x7f]*+[ -/\x00\x7f]*+[@-~]"  # colours, the cursor (ECMA-48, 5.4)
    r"|\x1b[\x00\x7f]*+[\]PX^_].*?(?:\x07|\x1b\\|\x9c|$)"  # titles, links and other strings (5.6)
    r"|[\x90\x98\x9d-\x9f].*?(?:\x07|\x1b\\|\x9c|$)"
    r"|\x1b[ -/\x00\x7f]*+[0-~]"
    r"|\x9b[0-?\x00\x7f]*+[ -/\x00\x7f]*+[@-~]",
    re.MULTILINE,
)

_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u3164\ufe00-\ufe0f\uffa0\ufff0-\uffff"
    "\U000e0000-\U000e0fff]+"
)
"""What Unicode has to be ignored by default, so nobody sees it; and what stands in place of bytes that aren't UTF-8."""

Pieces = Iterable[tuple[int, str]]
"""Pieces of a text, and where they are in it."""


class Reading(NamedTuple):
    """A text that consists of pieces of another one; `begins` and `places`: where each begins here, and there."""

    text: str
    begins: list[int]
    places: list[int]

    def there(self, begin: int, end: int) -> Iterator[Span]:
        """Where a part of it is in the other text, piece by piece."""
        which = bisect_right(self.begins, begin) - 1
        while begin < end:
            upto = min(end, self._end(which))
            place = self.places[which] + begin - self.begins[which]
            yield place, place + upto - begin
            begin, which = upto, which + 1

    def here(self, place: int) -> int:
        """How many of its characters are before a place in the other text."""
        which = bisect_right(self.places, place) - 1
        return 0 if which < 0 else min(self._end(which), self.begins[which] + place - self.places[which])

    def _end(self, which: int) -> int:
        return self.begins[which + 1] if which + 1 < len(self.begins) else len(self.text)


def shown(text: str) -> Reading:
    """What is shown of it: no control sequences and characters; lines stay, a tab becomes a space."""
    return _of_lines(text, _obeyed)


def whole(text: str) -> Iterator[Reading]:
    """As terminals and as other programs read it, each without what nobody sees, and with its lines."""
    yield without_unseen(shown(text))
    yield from others(text)


def others(text: str) -> Iterator[Reading]:
    """As other programs than terminals read it, where that differs."""
    if _SEQUENCES.search(text):
        yield without_unseen(_of_lines(text, _spelled))
    if "\b" in text:
        yield without_unseen(_of_lines(text, _overstruck))


def without_unseen(reading: Reading) -> Reading:
    """The reading without what nobody sees."""
    if reading.text.isascii() or not (found := list(_UNSEEN.finditer(reading.text))):
        return reading
    begins = [0, *(one.end() for one in found)]
    return _part(reading, zip(begins, [*(one.start() for one in found), len(reading.text)], strict=True))


def joined(reading: Reading) -> Reading:
    """Without the ends of its lines, for what is wrapped."""
    return _part(reading, ((begin, begin + len(line)) for begin, line in _lines(reading.text)))


def last_words(reading: Reading) -> Reading:
    """The last words of all lines alone, for what is wrapped behind a moment, a name or the like."""
    stripped = ((begin, line.rstrip()) for begin, line in _lines(reading.text))
    return _part(reading, ((begin + line.rfind(" ") + 1, begin + len(line)) for begin, line in stripped))


def is_shown(character: str) -> bool:
    """What Python calls printable, and more: ends of lines, spaces of other widths, joiners, the tags of flags."""
    return (
        character.isprintable() or character == "\n" or character in _JOINERS or unicodedata.category(character) == "Zs"
    )


def without_sequences(text: str) -> str:
    """The text without control sequences."""
    return _SEQUENCES.sub("", text)


def _of_lines(text: str, read: Callable[[str], Pieces]) -> Reading:
    """Each line with its end is one piece, unless it has something that isn't shown."""
    pieces: list[tuple[int, str]] = []
    text = text.replace("\t", " ")
    for begin, line in _lines(text):
        if line.isprintable():
            pieces.append((begin, text[begin : begin + len(line) + 1]))
        else:
            pieces += [(begin + place, piece) for place, piece in read(line)]
            pieces.append((begin + len(line), text[begin + len(line) : begin + len(line) + 1]))
    return _reading(pieces)


def _obeyed(line: str) -> Pieces:
    done = 0
    for sequence in _SEQUENCES.finditer(line):
        yield from _spelled(line, done, sequence.start())
        done = sequence.end()
    yield from _spelled(line, done)


def _spelled(line: str, begin: int = 0, end: int | None = None) -> Pieces:
    """Without control characters; the others of a sequence stay."""
    for seen, group in groupby(range(begin, len(line) if end is None else end), lambda place: is_shown(line[place])):
        if seen:
            places = list(group)
            yield places[0], line[places[0] : places[-1] + 1]


def _overstruck(line: str) -> Pieces:
    """With characters replaced that a backspace goes back to."""
    left: list[tuple[int, str]] = []
    done = 0
    for sequence in [*_SEQUENCES.finditer(line), None]:
        for place in range(done, sequence.start() if sequence else len(line)):
            if line[place] == "\b":
                del left[-1:]
            elif is_shown(line[place]):
                left.append((place, line[place]))
        done = sequence.end() if sequence else done
    return left


def _lines(text: str) -> Iterator[tuple[int, str]]:
    begin = 0
    for line in text.split("\n"):
        yield begin, line
        begin += len(line) + 1


def _part(reading: Reading, spans: Iterable[Span]) -> Reading:
    pieces: list[tuple[int, str]] = []
    for begin, end in spans:
        done = begin
        for place, upto in reading.there(begin, end):
            pieces.append((place, reading.text[done : done + upto - place]))
            done += upto - place
    return _reading(pieces)


def _reading(pieces: Pieces) -> Reading:
    kept = [(place, piece) for place, piece in pieces if piece]
    begins = [*accumulate((len(piece) for _, piece in kept), initial=0)][:-1]
    return Reading("".join(piece for _, piece in kept), begins, [place for place, _ in kept])
