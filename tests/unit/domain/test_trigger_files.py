"""Definitions of triggers as people write them: every fault with its place, and nothing breaks the reader."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.domain.errors import InvalidTrigger
from environments.domain.trigger_file import (
    LARGEST_DEFINITION,
    check_definition,
    faults_of,
    placed,
    read_trigger,
    read_trigger_file,
)
from environments.domain.trigger_rules import Place

DONE = {"name": "done", "on": "nomad.job", "action": "destroy"}
_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
_KEYS = st.sampled_from(
    [*("name", "on", "kinds", "when", "action", "by", "for", "over", "preview", "parameters", "template"), "bytes", "x"]
)


def told(definition: dict[str, Any], place: Place = Place.ENVIRONMENT) -> str:
    return "; ".join(fault.sentence for fault in read_trigger(definition, place)[1])


@given(st.dictionaries(_KEYS, _VALUES, max_size=5), st.sampled_from(Place))
def test_whatever_is_written_is_a_trigger_or_has_faults(more: dict[str, Any], place: Place) -> None:
    trigger, faults = read_trigger({**DONE, **more}, place)
    assert trigger is not None or faults
    for fault in faults:
        assert fault.message
        assert len(str(fault.at(_Nowhere()))) < 1500


class _Nowhere:
    def find(self, path: Any) -> None:
        return None


@given(st.text(alphabet="[]{}=\"'\n.#ab1 \\", max_size=60))
def test_whatever_text_is_in_a_file_is_read_or_refused(text: str) -> None:
    document, faults = read_trigger_file(text, "x.toml")
    assert isinstance(document, dict)
    for fault in faults:
        assert str(fault).startswith("x.toml")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"message": "a\0"}, "U+0000"),
        ({"parameters": {"a\0": 1}}, "U+0000"),
        ({"parameters": {"a": "x" * LARGEST_DEFINITION}}, "is the most"),
        ({"parameters": {"a": float("nan")}}, "infinite"),
        ({"parameters": {"a": 10**400}}, "larger"),
        ({"when": {f"f{number}": 1 for number in range(21)}}, "at most 20"),
        ({"when": {"a": list(range(101))}}, "when.a"),
        ({"when": {"a": {"matches": "x" * 1001}}}, "when.a"),
        ({"when": {"a": {"not": "b", "exists": True}}}, "one of not, starts_with, matches and exists"),
        ({"kinds": "complete"}, "kinds: it must be a list"),
        ({"by": "soon"}, "by: 'soon' is not a duration"),
    ],
)
def test_what_is_too_much_or_none_at_all_is_named(more: dict[str, Any], why: str) -> None:
    assert why in told({**DONE, **more})


def test_a_fault_has_its_line_also_when_it_came_over_the_api() -> None:
    text = 'name = "done"\non = "nomad.job"\n\n[when]\njob = { nott = 1 }\n'
    document, faults = read_trigger_file(text, "x.toml")
    assert faults == []
    with pytest.raises(InvalidTrigger) as raised:
        check_definition(document, Place.ALONE)
    lines = [str(placed(fault, text, "x.toml")) for fault in faults_of(raised.value)]
    assert "x.toml:5: when.job: it must be a value" in "\n".join(lines)
    assert 'did you mean "not"?' in "\n".join(lines)
    assert "x.toml: action: it is missing" in lines
