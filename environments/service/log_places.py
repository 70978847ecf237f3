"""Places in the output of a container, and the bytes that are there, from files that rotate.

The files of a stream are one text, whose beginning is deleted while its end grows. A place names a file and a byte in
it, so it stays true when older files are deleted. A caller may name any: whether a line begins there is read from the
file. Sizes are limited everywhere: who writes is a stranger.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from environments.domain.containers import LogFile, Stream
from environments.domain.errors import InvalidInput

BLOCK = 128 * 1024
"""Bytes of a stream that are read at once."""

BEFORE = 16 * 1024
"""Bytes before a place that are read with what is behind it, since a secret that began there may go on behind it."""

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
class Found:
    """The bytes of one stream around a place: `content`, of which the first `before` are before it.

    `cut`: something was written before `content`. `full`: as much as was wanted is behind the place; `more`: there is
    still more; `short`: less was read than is there; `missed`: what followed the place is deleted.
    """

    start: Place
    content: bytes = b""
    before: int = 0
    cut: bool = False
    full: bool = False
    more: bool = False
    short: bool = False
    missed: bool = False
    pieces: tuple[tuple[int, int, int], ...] = ()
    """Of which files `content` is: number, offset, length."""

    @property
    def behind(self) -> int:
        """How many bytes are behind the place."""
        return len(self.content) - self.before

    def place(self, count: int, *, midline: bool) -> Place:
        """The place so many bytes behind the beginning of `content`."""
        for number, offset, length in self.pieces:
            if count <= length:
                return Place(number, offset + count, midline)
            count -= length
        return self.start


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


def look(files: Sequence[LogFile], start: Place, read_bytes: ReadBytes, size: int = BLOCK) -> Found:
    """At most `size` bytes behind a place, and some before it. In `start`, `midline` says what the bytes say."""
    start, missed = _valid(files, start)
    there = sum(file.size for file in files if file.number > start.number)
    there += sum(file.size - start.offset for file in files if file.number == start.number)
    if there <= 0:
        return Found(start, missed=missed)
    begin, before = _before(files, start)
    content, pieces, whole = _gather(files, begin, read_bytes, before + size)
    if len(content) <= before:  # deleted or cut off meanwhile
        return Found(start, missed=missed)
    begins = content[before - 1 : before] == b"\n" if before else begin == Place()
    return Found(
        replace(start, midline=start.midline or not begins),
        content,
        before,
        cut=begin != Place(),
        full=len(content) - before >= size,
        more=whole and there > len(content) - before,
        short=not whole,
        missed=missed,
        pieces=pieces,
    )


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


def _before(files: Sequence[LogFile], start: Place) -> tuple[Place, int]:
    """The place `BEFORE` bytes before another one, or the first one in files without a gap; and how many bytes."""
    sizes = {file.number: file.size for file in files}
    number, offset, count = start.number, start.offset, 0
    while True:
        step = min(offset, BEFORE - count)
        offset, count = offset - step, count + step
        if count == BEFORE or number - 1 not in sizes:
            return Place(number, offset), count
        number, offset = number - 1, sizes[number - 1]


def _gather(
    files: Sequence[LogFile], begin: Place, read_bytes: ReadBytes, size: int
) -> tuple[bytes, tuple[tuple[int, int, int], ...], bool]:
    """At most `size` bytes behind a place, of which files they are, and whether all of these were there."""
    content = bytearray()
    pieces: list[tuple[int, int, int]] = []
    for file in sorted(files, key=lambda one: one.number):
        offset = begin.offset if file.number == begin.number else 0
        wanted = min(size - len(content), file.size - offset)
        if file.number < begin.number or wanted <= 0:
            continue
        found = read_bytes(file, offset, wanted)[:wanted]
        pieces.append((file.number, offset, len(found)))
        content += found
        if len(found) < wanted:
            return bytes(content), tuple(pieces), False
    return bytes(content), tuple(pieces), True
