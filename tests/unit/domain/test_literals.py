"""Many texts are found at once, wherever they stand, and parts of them at the ends of another one."""

import re
from collections.abc import Set

from hypothesis import given
from hypothesis import strategies as st

from environments.domain.literals import Literals, merged

TEXTS = st.sets(st.text("ab]^-\\\n", min_size=1, max_size=11), max_size=12)
TEXT = st.text("ab]^-\\\n", max_size=60)


def _everywhere(texts: Set[str], text: str) -> list[tuple[int, int]]:
    places = ((found.start(), one) for one in texts for found in re.finditer(f"(?={re.escape(one)})", text))
    return merged((at, at + len(one)) for at, one in places)


@given(TEXTS, TEXT)
def test_they_are_found_wherever_they_stand_also_where_they_overlap(texts: Set[str], text: str) -> None:
    found = Literals(texts)
    assert found.spans(text) == _everywhere(texts, text)
    assert found.any_in(text) == any(one in text for one in texts)


@given(TEXTS, TEXT, st.integers(1, 5))
def test_parts_of_them_are_found_at_both_ends(texts: Set[str], text: str, least: int) -> None:
    found = Literals(texts)
    begun = [size for one in texts for size in range(len(one)) if text.endswith(one[:size])]
    inner = [len(text) for one in texts if text in one[:-1]]
    assert found.last_part(text, least) == max((size for size in [*begun, *inner] if size >= least), default=0)
    ended = [len(one) - at for one in texts for at in range(1, len(one)) if text.startswith(one[at:])]
    inner = [len(text) for one in texts if text in one[1:]]
    assert found.first_part(text, least) == max((size for size in [*ended, *inner] if size >= least), default=0)


def test_thousands_of_texts_take_no_longer_than_a_few() -> None:
    """An alternation of these took minutes; the test would reach its time limit."""
    found = Literals(f"{number:x}-{'secret' * 9}" for number in range(50_000))
    assert found.spans("ffff-" * 30_000) == []
    assert found.spans("bad1-" + "secret" * 9) == [(0, 59)]


def test_thousands_of_the_same_beginning_and_of_one_letter_take_no_longer() -> None:
    found = Literals([*(f"postgres://{number}" for number in range(10_000)), "a" * 50_000])
    assert found.spans("postgres://x " * 10_000) == []
    assert found.spans("a" * 100_000) == [(0, 100_000)]
    assert found.last_part("a" * 40_000, 4) == found.first_part("a" * 40_000, 4) == 40_000


def test_hundreds_of_the_same_beginning_and_of_different_lengths_take_no_longer() -> None:
    """One look-up for each length at each place took minutes."""
    within = {"a" * size for size in range(8, 700)}
    ended = {f"{one}b" for one in within}
    text = f"{'a' * 30}c\n" * 1_000
    assert not Literals(ended).any_in(text)
    assert Literals(within | ended).spans(text) == [(at * 32, at * 32 + 30) for at in range(1_000)]
    for texts in (ended, within | ended):
        assert Literals(texts).spans(f"c{'a' * 20}bc") == [(1, 22)]


@given(TEXTS, TEXT)
def test_they_are_found_also_behind_a_beginning_that_all_have(texts: Set[str], text: str) -> None:
    texts, text = {f"abababab{one}" for one in texts}, f"{text}abababab{text}"
    assert Literals(texts).spans(text) == _everywhere(texts, text)
