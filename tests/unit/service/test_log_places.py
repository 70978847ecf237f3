"""Places in the output of containers: whole lines, once each, from files that rotate, whatever is written."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.domain.cleaning import Cleaner
from environments.domain.containers import LogFile, Stream
from environments.domain.errors import InvalidInput
from environments.service.log_lines import LONGEST_LINE, Part, shown
from environments.service.log_places import Place, before_end, look, read_places, written

OUT = Stream.STDOUT
PLAIN = Cleaner()


class Files:
    """The files of one stream."""

    def __init__(self, *contents: bytes) -> None:
        self.kept = dict(enumerate(contents))

    @property
    def files(self) -> list[LogFile]:
        return [LogFile(OUT, number, len(content)) for number, content in self.kept.items()]

    def bytes(self, file: LogFile, offset: int, size: int) -> bytes:
        return self.kept.get(file.number, b"")[offset : offset + size]

    def read(
        self,
        start: Place,
        cleaner: Cleaner = PLAIN,
        *,
        ended: bool = False,
        last: int | None = None,
        size: int = 1024,
    ) -> Part:
        return shown(look(self.files, start, self.bytes, size), cleaner, ended=ended, last=last)

    def all(self, *, size: int = 64, ended: bool = True) -> list[str]:
        """Everything, part by part."""
        lines: list[str] = []
        place = Place()
        for _ in range(10_000):
            part = self.read(place, ended=ended, size=size)
            lines += part.lines
            if not part.more:
                return lines
            assert part.end != place, "it goes on for ever"
            place = part.end
        raise AssertionError("it never ends")


@given(st.lists(st.text("abcé", max_size=20), max_size=30), st.lists(st.integers(0, 300), max_size=4))
def test_every_line_comes_once_wherever_files_and_parts_are_cut(lines: list[str], cuts: list[int]) -> None:
    content = "".join(f"{line}\n" for line in lines).encode()
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    files = Files(*(content[begin:end] for begin, end in pairwise(edges)))
    assert files.all() == lines


def test_a_line_that_is_not_complete_comes_later_and_once() -> None:
    files = Files(b"one\ntw")
    part = files.read(Place())
    assert (part.lines, part.end) == (("one",), Place(0, 4))
    assert files.read(part.end).lines == ()
    files.kept[0] += b"o\n"
    assert files.read(part.end).lines == ("two",)


def test_the_last_line_of_what_has_ended_needs_no_end() -> None:
    part = Files(b"one\ntwo").read(Place(), ended=True)
    assert (part.lines, part.more, part.end) == (("one", "two"), False, Place(0, 7))


def test_reading_goes_on_in_the_next_file() -> None:
    files = Files(b"one\n")
    end = files.read(Place()).end
    files.kept[1] = b"two\n"
    part = files.read(end)
    assert (part.lines, part.missed, part.end) == (("two",), False, Place(1, 4))


def test_what_was_deleted_meanwhile_is_told_and_begins_with_a_whole_line() -> None:
    files = Files(b"one\n", b"two\n", b"rest of a line\nthree\n")
    del files.kept[0], files.kept[1]
    part = files.read(Place(0, 4))
    assert (part.lines, part.missed) == (("three",), True)


def test_a_file_that_somebody_has_cut_off() -> None:
    files = Files(b"one\n")
    assert (files.read(Place(0, 400)).lines, files.read(Place(0, 400)).missed) == ((), True)
    assert files.read(Place(7, 5)) == Part((), Place(0, 4), False, True)


@pytest.mark.parametrize(
    ("size", "lines"), [(4, ()), (5, ("two",)), (8, ("two",)), (9, ("one", "two")), (99, ("one", "two"))]
)
def test_so_many_bytes_before_the_end_begin_with_a_whole_line(size: int, lines: tuple[str, ...]) -> None:
    files = Files(b"one\n", b"two\n")
    assert files.read(before_end(files.files, size)).lines == lines


def test_the_last_lines() -> None:
    files = Files(b"".join(b"%d\n" % number for number in range(100)))
    part = files.read(Place(), last=2)
    assert (part.lines, part.end) == (("98", "99"), Place(0, len(files.kept[0])))


def test_of_a_line_without_an_end_only_the_beginning_is_shown() -> None:
    files = Files(b"x" * 100_000)
    part = files.read(Place(), size=50_000)
    assert part.more
    assert part.lines == (f"{'x' * LONGEST_LINE} … (the rest of this line isn't shown)",)
    part = files.read(part.end, size=50_000)
    assert part.lines == ()
    files.kept[0] += b"\nnext\n"
    assert files.read(part.end).lines == ("next",)


def test_a_secret_at_a_cut_is_not_shown_in_part() -> None:
    secret = "correct-horse-battery"
    for before in range(0, 22, 3):
        content = b"-" * before + secret.encode() * 300
        part = Files(content).read(Place(), Cleaner([secret]), size=6_000)
        assert "horse" not in "".join(part.lines)
        assert "corr" not in "".join(part.lines)


def test_long_lines_are_cut_visibly_and_control_characters_go() -> None:
    part = Files(b"y" * 5000 + b"\n\x1b[31mred\x1b]0;title\x07\r\n\xff\x00\xe2\x80\xae<b>\n").read(Place(), size=8192)
    assert part.lines[0] == f"{'y' * LONGEST_LINE} … (1000 more characters)"
    assert part.lines[1:] == ("red", "\N{REPLACEMENT CHARACTER}<b>")


def test_secrets_of_several_lines_are_removed() -> None:
    part = Files(b"key: first-part\nsecond-part\nend\n").read(Place(), Cleaner(["first-part\nsecond-part"]))
    assert "first" not in "".join(part.lines)
    assert "second" not in "".join(part.lines)
    assert part.lines[-1] == "end"


def test_places_are_written_as_one_word() -> None:
    places = {Stream.STDOUT: Place(3, 17), Stream.STDERR: Place(0, 5, midline=True)}
    assert written(places) == "e0.5m-o3.17"
    assert read_places("e0.5m-o3.17", tuple(Stream)) == places
    assert read_places("beginning", (OUT,)) == {OUT: Place()}


@pytest.mark.parametrize("word", ["", "o", "o1", "o1.-2", "x1.2", "o1.2-", "../etc/passwd", "o1.2/..", "o٣.1"])
def test_other_words_are_no_places(word: str) -> None:
    with pytest.raises(InvalidInput, match="no place"):
        read_places(word, tuple(Stream))


def test_nothing_was_written_yet() -> None:
    assert Files().read(before_end([], 100)) == Part((), Place(), False, False)
