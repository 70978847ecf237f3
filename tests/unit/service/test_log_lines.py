"""What is shown of the output of containers: no part of a secret, wherever a reader begins and a file or part ends."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.domain.cleaning import Cleaner
from environments.domain.containers import LogFile, Stream
from environments.service.log_lines import Part, shown
from environments.service.log_places import BLOCK, Place, before_end, look, read_places

OUT = Stream.STDOUT
ONE_LINE = "generated-password-1"
SHORT_LINES = "ab12cd\nef34gh\nij56kl\nmn78op"
PIECES = ("gen", "rated", "word-1", "ab12", "12cd", "ef34", "34gh", "ij56", "56kl", "mn78", "78op")
LOG = f"hello\npassword={ONE_LINE}\ncodes: {SHORT_LINES}\nready\n{SHORT_LINES}\nend\n".encode()
CLEANER = Cleaner([ONE_LINE, SHORT_LINES])


class Files:
    """The files of one stream."""

    def __init__(self, *contents: bytes) -> None:
        self.kept = dict(enumerate(contents))

    def read(
        self,
        start: Place,
        *,
        cleaner: Cleaner = CLEANER,
        ended: bool = False,
        last: int | None = None,
        size: int = 1024,
    ) -> Part:
        files = [LogFile(OUT, number, len(content)) for number, content in self.kept.items()]
        return shown(look(files, start, self.bytes, size), cleaner, ended=ended, last=last)

    def bytes(self, file: LogFile, offset: int, size: int) -> bytes:
        return self.kept.get(file.number, b"")[offset : offset + size]


def _tells(part: Part) -> list[str]:
    """The pieces of secrets among its lines."""
    return [piece for piece in PIECES if piece in "\n".join(part.lines)]


@pytest.mark.parametrize("cuts", [(), (17,), (3, 25, 45), (6,), (40, 41, 42)])
@pytest.mark.parametrize("midline", [True, False])
def test_a_reader_who_begins_anywhere_sees_whole_lines_without_secrets(cuts: tuple[int, ...], midline: bool) -> None:
    files = Files(*(LOG[begin:end] for begin, end in pairwise((0, *cuts, len(LOG)))))
    whole = files.read(Place()).lines
    assert whole == (
        "hello",
        "password=***",
        "codes: ***",
        "***",
        "***",
        "***",
        "ready",
        "***",
        "***",
        "***",
        "***",
        "end",
    )
    for number, content in files.kept.items():
        for offset in range(len(content) + 2):
            for ended in (True, False):
                part = files.read(Place(number, offset, midline), ended=ended)
                assert part.lines == whole[len(whole) - len(part.lines) :], (number, offset)
    assert len(files.read(Place(99)).lines) == 0


def test_a_line_begins_behind_an_end_of_a_line_only() -> None:
    files = Files(b"hello\npassword=gen")
    end = files.read(read_places("o9.0", (OUT,))[OUT]).end
    files.kept[0] += b"erated-password-1\nnext\n"
    assert files.read(end).lines == ("next",)
    files.kept[1] = b"more\n"
    assert files.read(Place(1)).lines == ("more",), "the end of the line is in the file before"
    files.kept = {0: b"password=gen", 1: b"erated-password-1\nnext\n"}
    assert files.read(Place(1)).lines == ("next",)
    del files.kept[0]
    assert files.read(Place(1)).lines == ("next",), "nobody knows what was before it"


def test_the_last_lines_and_bytes_are_cut_of_what_was_cleaned() -> None:
    files = Files(LOG)
    sizes = [LogFile(OUT, 0, len(LOG))]
    whole = files.read(Place()).lines
    for last in range(1, len(whole) + 2):
        assert files.read(Place(), last=last).lines == whole[-last:]
        assert files.read(Place(), last=last, ended=True).lines == whole[-last:]
    for size in range(1, len(LOG)):
        assert not _tells(files.read(before_end(sizes, size)))
        assert not _tells(files.read(before_end(sizes, size), last=2))


@given(st.lists(st.integers(0, len(LOG)), max_size=8), st.integers(40, 200))
def test_a_follower_sees_every_line_once_and_no_secret_however_it_is_written(cuts: list[int], size: int) -> None:
    files = Files(b"")
    seen: list[str] = []
    place = Place()
    for begin, end in pairwise((0, *sorted(cuts), len(LOG))):
        files.kept[0] += LOG[begin:end]
        while True:
            part = files.read(place, size=size)
            seen, place = [*seen, *part.lines], part.end
            if not part.more:
                break
    assert tuple(seen) == files.read(Place()).lines


def test_lines_that_may_begin_a_secret_come_when_it_is_known_that_they_do_not() -> None:
    files = Files(b"one\ncodes: ab12cd\nef34gh\n")
    part = files.read(Place())
    assert (part.lines, part.more) == (("one",), False)
    assert files.read(part.end).lines == ()
    assert files.read(part.end, ended=True).lines == ("codes: ***", "***"), "nothing more will come"
    files.kept[0] += b"other\n"
    assert files.read(part.end).lines == ("codes: ab12cd", "ef34gh", "other")


def test_the_last_line_of_what_has_ended_shows_no_beginning_of_a_secret() -> None:
    for size in range(4, len(ONE_LINE)):
        files = Files(f"one\npassword={ONE_LINE[:size]}".encode())
        assert files.read(Place(), ended=True).lines == ("one", "password=***")
        assert files.read(Place(), ended=True, last=1).lines == ("password=***",)


@pytest.mark.parametrize("prefix", ["", "12:00:00 stdout F "])
def test_a_follower_sees_nothing_of_a_wrapped_secret(prefix: str) -> None:
    secret = "".join(f"{number:03}~" for number in range(60))
    files, place, seen = Files(b""), Place(), list[str]()
    for line in ["start", *(secret[begin : begin + 20] for begin in range(0, len(secret), 20)), "end"]:
        files.kept[0] += f"{prefix}{line}\n".encode()
        part = files.read(place, cleaner=Cleaner([secret]))
        seen, place = [*seen, *part.lines], part.end
    assert seen == [f"{prefix}start", *(f"{prefix}***" for _ in range(12)), f"{prefix}end"]


@pytest.mark.parametrize("prefix", ["", "12:00:00 stdout F "])
@pytest.mark.parametrize("columns", [1, 4, 7, 8, 11])
def test_a_follower_sees_no_more_than_the_first_of_a_secret_that_is_wrapped_narrowly(prefix: str, columns: int) -> None:
    """Seven characters are too little to know it by."""
    secret = "Xk3vQ9pLw7Rt2ZmB5nYc"
    lines = [secret[begin : begin + columns] for begin in range(0, len(secret), columns)]
    files, place, seen = Files(b""), Place(), list[str]()
    for line in ["start", *lines, "end"]:
        files.kept[0] += f"{prefix}{line}\n".encode()
        part = files.read(place, cleaner=Cleaner([secret]))
        seen, place = [*seen, *part.lines], part.end
    told = 7 // columns
    assert seen == [f"{prefix}{line}" for line in ("start", *lines[:told], *["***"] * (len(lines) - told), "end")]


@pytest.mark.parametrize("width", [40, 1500, 3900])
def test_the_end_of_a_wrapped_secret_that_began_long_before_is_not_shown(width: int) -> None:
    secret = "".join(chr(ord("!") + number) for number in range(60))
    lines = [secret[begin : begin + 10] for begin in range(0, len(secret), 10)]
    files = Files("".join(f"{'p' * width} {line}\n" for line in ["start", *lines, "end"]).encode())
    for last in range(1, 6):
        seen = files.read(Place(), cleaner=Cleaner([secret]), size=BLOCK, last=last + 1).lines
        assert [line[width:] for line in seen] == [" ***"] * last + [" end"]


def test_of_a_secret_whose_beginning_is_deleted_the_rest_is_not_shown() -> None:
    at = LOG.index(b"ef34gh") + 2
    files = Files(LOG[:at], LOG[at:])
    del files.kept[0]
    for start in (Place(), Place(0, 3), Place(1)):
        assert files.read(start).lines == ("***", "***", "ready", "***", "***", "***", "***", "end")
    later = LOG[at:].index(b"mn78op")
    assert files.read(Place(1, later)).lines[:2] == ("***", "ready")


def test_ends_of_lines_of_other_systems_hide_nothing() -> None:
    for secret, text in ((SHORT_LINES, SHORT_LINES.replace("\n", "\r\n")), (SHORT_LINES.replace("\n", "\r"),) * 2):
        files = Files(f"one\r\n{text}\r\ntwo\r\n".encode())
        part = files.read(Place(), cleaner=Cleaner([secret]))
        assert part.lines == ("one", "***", "***", "***", "***", "two")
        assert files.read(Place(), cleaner=Cleaner([secret]), last=2).lines == ("***", "two")


def test_a_secret_longer_than_a_part_is_not_shown_in_part() -> None:
    one = "".join(f"{number:x}~" for number in range(2_500))
    cleaner, size = Cleaner([one]), 9_000
    files = Files(f"start\n{one}\nend\n".encode())
    assert size < len(one)
    for start in (Place(), Place(0, 6), Place(0, 1000), Place(0, 6 + size)):
        place, lines = start, list[str]()
        while True:
            part = files.read(place, cleaner=cleaner, size=size)
            lines += part.lines
            place = part.end
            if not part.more:
                break
        assert "~" not in "".join(lines)
        assert lines[-1] == "end"


def test_a_long_secret_of_short_lines_is_hidden_wherever_a_part_ends() -> None:
    secret = "\n".join(f"{number:x}~" for number in range(1_500))
    files = Files(f"start\n{secret}\nend\n".encode())
    cleaner = Cleaner([secret])
    for size in (1_000, BLOCK):
        place, lines = Place(), list[str]()
        while True:
            part = files.read(place, cleaner=cleaner, size=size)
            lines += part.lines
            assert part.end != place
            place = part.end
            if not part.more:
                break
        assert (lines[0], lines[-1], len(lines)) == ("start", "end", 1_502)
        assert size < BLOCK or "~" not in "".join(lines)
    middle = 3_000
    assert "~" not in "".join(files.read(Place(0, middle), cleaner=cleaner, size=BLOCK).lines)


def test_a_secret_of_lines_is_hidden_between_others_that_are_cleaned_in_portions() -> None:
    lines = [*("x" * 90 for _ in range(200)), *SHORT_LINES.split("\n"), "end"]
    for shift in range(0, 400, 90):
        files = Files(("y" * shift + "\n" + "\n".join(lines) + "\n").encode())
        assert not _tells(files.read(Place(), size=BLOCK))


def test_what_is_cut_off_while_it_is_read_shows_no_part_of_a_line() -> None:
    class Shrunk(Files):
        def bytes(self, file: LogFile, offset: int, size: int) -> bytes:
            return super().bytes(file, offset, size)[: 20 - offset]

    part = Shrunk(LOG).read(Place(), ended=True)
    assert (part.lines, part.end) == (("hello",), Place(0, 6))
