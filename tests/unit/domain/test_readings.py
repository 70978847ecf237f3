"""What is read of a text in several ways is known where it stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.domain import readings
from environments.domain.cleaning import printable

TEXT = st.lists(
    st.sampled_from(
        ["a", "bc", " ", "\n", "\t", "\r", "\b", "\0", "\x1b", "[", "0", "m", "]", "\x07", "\x9b", "\u200d", "\ufe0f"]
    )
).map("".join)


@given(TEXT)
def test_every_character_is_where_it_is_said_to_be(text: str) -> None:
    shown = readings.shown(text)
    assert shown.text == printable(text)
    wholes = list(readings.whole(text))
    for reading in (shown, *wholes, *map(readings.joined, wholes), *map(readings.last_words, wholes)):
        for at, character in enumerate(reading.text):
            ((begin, end),) = reading.there(at, at + 1)
            assert text[begin:end].replace("\t", " ") == character
            assert reading.here(begin) == at
            assert reading.here(end) == at + 1


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("s\x1b[1me\0c", ["sec", "s[1mec"]),
        ("s\x1b\0[\x7f1me", ["se", "s[1me"]),
        ("s\x9d0;title\x9ce\x1b]8;;x\x1b\\c", ["sec", "s0;titlee]8;;x\\c"]),
        ("s\u200de\ufe0fc\ufffd\u2060", ["sec"]),
        ("sX\bex\x1b[0m\bc\n\bt", ["sXexc\nt", "sXex[0mc\nt", "sec\nt"]),
        ("\U0001f469\u200d\U0001f4bb é", ["\U0001f469\U0001f4bb é"]),
    ],
)
def test_ways_to_read_a_text(text: str, read: list[str]) -> None:
    assert [reading.text for reading in readings.whole(text)] == read


def test_lines_can_be_read_as_one() -> None:
    (reading,) = readings.whole("12:00 stdout F ab \nx | cd\n\nef\n")
    assert readings.joined(reading).text == "12:00 stdout F ab x | cdef"
    assert readings.last_words(reading).text == "abcdef"


def test_many_beginnings_of_sequences_take_no_longer_than_others() -> None:
    for text in ("\x1b[" + "\0" * 100_000, "\x1b[\0" * 30_000, "\x1b]" * 50_000, "\x9d" * 50_000, "\b" * 50_000):
        assert len(readings.shown(text).text) <= len(text)
        assert all(len(reading.text) <= len(text) for reading in readings.whole(text))
