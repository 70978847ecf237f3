"""What entries tell of changes: only what differs, without secrets, of limited size, and always JSON."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from environments.service.audit_values import LONGEST_VALUE, MOST_FIELDS, differing, shown, text

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def test_only_what_differs_is_left() -> None:
    before = {"owner": "ada", "parameters": {"size": 1, "word": "a"}, "rules": []}
    after = {"owner": "grace", "parameters": {"size": 2, "word": "a"}, "rules": []}
    assert differing(before, after) == (
        {"owner": "ada", "parameters": {"size": 1}},
        {"owner": "grace", "parameters": {"size": 2}},
    )
    assert differing(after, after) == (None, None)
    assert differing(None, {"owner": "ada"}) == (None, {"owner": "ada"})
    assert differing({"flag": 1}, {"flag": True}) == ({"flag": 1}, {"flag": True})


def test_secrets_are_masked_by_their_names() -> None:
    written = shown(
        {
            "parameters": {"db_password": "swordfish", "apiKey": "swordfish", "nested": [{"secret": ["swordfish"]}]},
            "token": "swordfish",
            "token_id": "tok-1",
        }
    )
    assert written is not None
    assert "swordfish" not in written
    assert "tok-1" in written


@given(st.dictionaries(st.text(), values))
def test_whatever_is_told_can_be_read_again_and_is_small(told: dict[str, Any]) -> None:
    written = shown(told)
    assert written is not None
    assert isinstance(json.loads(written), dict)
    written.encode()
    assert "\0" not in written
    assert len(written) < (MOST_FIELDS + 1) * (LONGEST_VALUE + 200)


@given(st.text(max_size=400), st.integers(20, 300))
def test_texts_are_cut(given_text: str, longest: int) -> None:
    found = text(given_text, longest)
    assert len(found) <= longest
    assert "\0" not in found


def test_cut_texts_that_differ_still_differ() -> None:
    one, other = ("x" * 10_000 + end for end in "ab")
    assert shown({"a": one}) != shown({"a": other})
    assert text(one, 100) != text(other, 100)
