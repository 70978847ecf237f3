"""Places in the output of a container, and what stands there: whole lines, cleaned, from files that rotate.

The files of a stream are one text, whose beginning is deleted while its end grows. A place names a file and a byte in
it, so it stays true when older files are deleted. Sizes are limited everywhere: who writes is a stranger.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from environments.domain.cleaning import Cleaner
from environments.domain.containers import LogFile, Stream
from environments.domain.errors import InvalidInput

BLOCK = 128 * 1024
"""Bytes of a stream that are read at once."""

_CLEANED = 8 * 1024
"""Characters that are cleaned at once: other threads wait meanwhile."""

LONGEST_LINE = 4000
"""Characters; the rest of a longer line is left out, visibly."""

_GUARD = 4096
"""Characters before a cut in the middle of a line that aren't shown: a secret that is cut in two isn't recognized."""

_PLACE = re.compile(r"(?:(o)|(e))([0-9]{1,9})\.([0-9]{1,15})(m?)")
_LETTERS = {Stream.STDOUT: "o", Stream.STDERR: "e"}

BEGINNING = "beginning"
"""The place before all that is still there."""

ReadBytes = Callable[[LogFile, int, int], bytes]
"""Reads a file from an offset, at most so many bytes. Raises `BackendError`."""


@dataclass(frozen=True)
class Place:
    """Before the byte `offset` of the file with that number. `midline`: the rest of that line isn't shown."""

    number: int = 0
    offset: int = 0
    midline: bool = False


@dataclass(frozen=True)
class Part:
    """Whole lines of one stream. `more`: there was more to read; `missed`: what followed the place is deleted."""

    lines: tuple[str, ...]
    end: Place
    more: bool = False
    missed: bool = False


def written(places: Mapping[Stream, Place]) -> str:
    """Places as one word, for a caller who goes on later."""
    return "-".join(
        f"{_LETTERS[stream]}{place.number}.{place.offset}{'m' if place.midline else ''}"
        for stream, place in sorted(places.items())
    )


def read_places(word: str, streams: Sequence[Stream]) -> dict[Stream, Place]:
    """The places of these streams. Raises `InvalidInput` for what `written` doesn't write."""
    if word == BEGINNING:
        return {stream: Place() for stream in streams}
    found: dict[Stream, Place] = {}
    for one in word.split("-"):
        match = _PLACE.fullmatch(one)
        if match is None:
            raise InvalidInput(
                "That is no place in a log.", hint="Give what an answer named in `after`, or `beginning`."
            )
        stream = Stream.STDOUT if match[1] else Stream.STDERR
        found[stream] = Place(int(match[3]), int(match[4]), bool(match[5]))
    return {stream: found.get(stream, Place()) for stream in streams}


def before_end(files: Sequence[LogFile], size: int) -> Place:
    """The place so many bytes before the end, in the middle of a line unless it is the beginning of all."""
    left = size
    for file in sorted(files, key=lambda one: one.number, reverse=True):
        if left <= file.size:
            return Place(file.number, file.size - left, midline=True)
        left -= file.size
    return Place()


def at_end(files: Sequence[LogFile]) -> Place:
    """The place behind everything."""
    newest = max(files, key=lambda one: one.number, default=None)
    return Place() if newest is None else Place(newest.number, newest.size)


def read(
    files: Sequence[LogFile],
    start: Place,
    read_bytes: ReadBytes,
    cleaner: Cleaner,
    *,
    ended: bool,
    last: int | None = None,
    size: int = BLOCK,
) -> Part:
    """The whole lines behind a place, of at most `size` bytes; with `last`, only so many at the end of these.

    A line that isn't complete yet comes later, unless it is longer than `size`, or `ended`: nothing more will be
    written.
    """
    start, missed = _valid(files, start)
    content, pieces, there = _gather(files, start, read_bytes, size)
    full, more = len(content) >= size, there > len(content)
    begins = 0
    if start.midline:
        begins = content.find(b"\n") + 1
        if not begins:
            return Part((), _moved(start, pieces, len(content) if full or ended else 0), more, missed)
    ends = len(content) if ended and not more else content.rfind(b"\n") + 1
    if ends <= begins and full:  # a line without an end
        end = replace(_moved(start, pieces, len(content)), midline=True)
        return Part((_beginning(content[begins:], cleaner),), end, more, missed)
    ends = max(begins, ends)
    lines = _lines(content[begins:ends])
    shown = _cleaned(lines if last is None else lines[len(lines) - last :] if last < len(lines) else lines, cleaner)
    return Part(shown, replace(_moved(start, pieces, ends), midline=False), more, missed)


def _valid(files: Sequence[LogFile], start: Place) -> tuple[Place, bool]:
    """A place that there is, and whether something between is deleted."""
    by_number = {file.number: file for file in files}
    if not files:
        return start, False
    oldest = min(by_number)
    if start.number in by_number:
        file = by_number[start.number]
        if start.offset <= file.size:
            return start, False
        return Place(start.number, file.size), True  # somebody has cut it off
    behind = sorted(number for number in by_number if number > start.number)
    if behind:
        return Place(behind[0], midline=behind[0] > 0), start != Place() or oldest != 0
    return Place(max(by_number), by_number[max(by_number)].size), True


_Pieces = list[tuple[int, int, int]]
"""Of which files some bytes are: number, offset, length."""


def _gather(files: Sequence[LogFile], start: Place, read_bytes: ReadBytes, size: int) -> tuple[bytes, _Pieces, int]:
    """At most `size` bytes behind a place, of which files they are, and how many there are behind it."""
    content, there = bytearray(), 0
    pieces: _Pieces = []
    whole = True
    for file in sorted(files, key=lambda one: one.number):
        if file.number < start.number:
            continue
        offset = start.offset if file.number == start.number else 0
        there += file.size - offset
        wanted = min(size - len(content), file.size - offset)
        if not whole or (wanted <= 0 and pieces):
            continue
        found = read_bytes(file, offset, wanted)[:wanted] if wanted > 0 else b""
        pieces.append((file.number, offset, len(found)))
        content += found
        whole = len(found) == wanted
    return bytes(content), pieces, there if whole else len(content)


def _moved(start: Place, pieces: _Pieces, count: int) -> Place:
    """The place so many bytes behind the beginning of the pieces."""
    for number, offset, length in pieces:
        if count <= length:
            return replace(start, number=number, offset=offset + count)
        count -= length
    if pieces:
        number, offset, length = pieces[-1]
        return replace(start, number=number, offset=offset + length)
    return start


def _lines(content: bytes) -> list[str]:
    if not content:
        return []
    text = content.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n").split("\n")


def _cleaned(lines: Sequence[str], cleaner: Cleaner) -> tuple[str, ...]:
    """Lines without secrets and control characters; together, since a secret may have several lines."""
    done: list[str] = []
    waiting: list[str] = []
    size = 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size >= _CLEANED:
            done += cleaner.clean("\n".join(waiting)).split("\n")
            waiting, size = [], 0
    if waiting:
        done += cleaner.clean("\n".join(waiting)).split("\n")
    return tuple(map(_shortened, done))


def _beginning(content: bytes, cleaner: Cleaner) -> str:
    """Of a line that is longer than a block. It is cut where nobody knows whether a secret stands there."""
    text = cleaner.clean(content[: LONGEST_LINE * 4 + _GUARD].decode("utf-8", "replace"))
    return f"{text[: max(0, min(LONGEST_LINE, len(text) - _GUARD))]} … (the rest of this line isn't shown)"


def _shortened(line: str) -> str:
    return (
        line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} … ({len(line) - LONGEST_LINE} more characters)"
    )
