"""Many texts are found at once, as an alternation of them in a regular expression would find them."""

import re
from collections.abc import Set

from hypothesis import given
from hypothesis import strategies as st

from environments.domain.literals import Literals

TEXTS = st.sets(st.text("ab]^-\\\n", min_size=1, max_size=11), max_size=12)


@given(TEXTS, st.text("ab]^-\\\n", max_size=60))
def test_the_longest_at_a_place_from_the_left_as_an_alternation_finds_them(texts: Set[str], text: str) -> None:
    found = Literals(texts)
    longest_first = sorted(texts, key=len, reverse=True)
    expected = re.sub("|".join(map(re.escape, longest_first)), "*", text) if texts else text
    assert found.replace(text, "*") == expected
    assert found.any_in(text) == any(one in text for one in texts)


def test_thousands_of_texts_take_no_longer_than_a_few() -> None:
    """An alternation of these took minutes; the test would reach its time limit."""
    found = Literals(f"{number:x}-{'secret' * 9}" for number in range(50_000))
    assert found.replace("ffff-" * 30_000, "*") == "ffff-" * 30_000
    assert found.replace("bad1-" + "secret" * 9, "*") == "*"
