"""What differs between the files of two versions of a template, within limits."""

import pytest

from environments.ui.file_differences import LARGEST, MOST_FILES, MOST_LINES, file_differences, line_differences


def test_files_are_new_changed_or_gone() -> None:
    before, after = {"a": b"1", "b": b"22", "c": b"3"}, {"b": b"2", "c": b"3", "d": b""}
    found = [(one.path, one.sign.word, one.before, one.after) for one in file_differences(before, after)]
    assert found == [("a", "gone", 1, None), ("b", "changed", 2, 1), ("d", "new", None, 0)]


def test_lines_of_small_texts_are_compared() -> None:
    before, after = {"a.txt": b"one\ntwo\n", "same": b"x"}, {"a.txt": b"one\n2\n", "same": b"x", "new": b"y"}
    ((path, text),) = line_differences(before, after)
    assert path == "a.txt"
    assert text.splitlines() == ["--- before", "+++ after", "@@ -1,3 +1,3 @@", " one", "-two", "+2", " "]


@pytest.mark.parametrize("content", [b"\xff", b"a\0b", b"x" * (LARGEST + 1), b"\n" * (MOST_LINES + 1)])
def test_what_is_no_text_or_large_is_not_compared(content: bytes) -> None:
    assert not list(line_differences({"a": b"x"}, {"a": content}))
    assert not list(line_differences({"a": content}, {"a": b"x"}))


def test_a_few_files_are_compared() -> None:
    names = [f"{number:03}" for number in range(MOST_FILES + 5)]
    found = list(line_differences(dict.fromkeys(names, b"1"), dict.fromkeys(names, b"2")))
    assert [path for path, _ in found] == names[:MOST_FILES]


def test_texts_that_are_hard_to_compare_take_no_longer_than_others() -> None:
    """Lines that repeat are the worst that there is."""
    one = b"\n".join(b"ab"[number % 2 :][:1] for number in range(MOST_LINES - 1))
    other = b"\n".join(b"ba"[number % 3 % 2 :][:1] for number in range(MOST_LINES - 1))
    assert len(list(line_differences({"a": one}, {"a": other}))) == 1
