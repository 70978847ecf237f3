"""Other values of the same shape differ from the given one in each way that it has."""

import base64
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from environments.providers.nomad.other_values import aspects, others

words = st.text('{}[]", \\:01aé', max_size=5) | st.sampled_from(["{}", "[]", "[{}]", '{"a": {}}', '""', "e30=", "W10="])
values = st.recursive(
    words | st.integers(-5, 10**12) | st.booleans() | st.none(),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(words, inside, max_size=3)
        | inside.map(lambda value: json.dumps(value))
        | inside.map(lambda value: base64.b64encode(json.dumps(value).encode()).decode())
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(values)
@example("{}")
@example("[]")
@example(" { } ")
@example('"{}"')
@example("e30=")
@example(["[]", {"a": "{}"}])
@example([[[[1]]]])
@example([[[{"a": 1}]]])
@example({"a": {"b": {"c": {"d": {}}}}})
@example(json.dumps(json.dumps(json.dumps(json.dumps({})))))
@example("[[[[]]]]")
@example("Iklsd2lXeUJkWENJaSI=")  # "[ ]" in JSON and in base64, twice
def test_each_way_that_a_value_has_is_varied(value: Any) -> None:
    varied = set().union(*(changes for _, changes in others(value)))
    assert varied >= aspects(value)


@pytest.mark.parametrize("empty", ["{}", "[]"])
def test_an_empty_collection_in_a_text_varies_whether_it_is_decoded_or_not(empty: str) -> None:
    found = [other for other, _ in others(empty)]
    assert empty not in found
    decoded = [json.loads(other) for other in found if other and other.lstrip().startswith(empty[0])]
    assert json.loads(empty) in decoded
    assert any(decoded)


def test_a_deep_value_does_not_grow_with_its_depth() -> None:
    deep: Any = 1
    for _ in range(60):
        deep = {"a": [deep]}
    assert all(len(json.dumps(other)) < 30 * len(json.dumps(deep)) for other, _ in others(deep))
