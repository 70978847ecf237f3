"""What is typed for a parameter becomes a value of its type, by the same rules on the command line and in the forms."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.domain.json_values import check_numbers, parse_json, same
from environments.schemas.typed import Unreadable, read_typed, typed_text

EITHER = {"type": ["string", "number"]}
MIXED = {"enum": ["1.9", "1.10", "true", 2, 1.5, None, True, "small", [1], {"a": 1}]}


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("2", {"type": "integer"}, 2),
        (" -7 ", {"type": "integer"}, -7),
        ("12345678901234567890123", {"type": "integer"}, 12345678901234567890123),
        ("123", {"type": "string"}, "123"),
        ("1.10", {"type": "string"}, "1.10"),
        (" null ", {"type": "string"}, " null "),
        ("{{ x }} ${y} \"'", {"type": "string"}, "{{ x }} ${y} \"'"),
        ("a\tb\u00a0c👩‍👩‍👧", {"type": "string"}, "a\tb\u00a0c👩‍👩‍👧"),
        ("", {"type": "string"}, ""),
        ("0.5", {"type": "number"}, 0.5),
        ("1e3", {"type": "number"}, 1000.0),
        ("3", {"type": "number"}, 3),
        ("9007199254740993", {"type": "number"}, 9007199254740993),
        ("Yes", {"type": "boolean"}, True),
        ("off", {"type": "boolean"}, False),
        ('["a", 1]', {"type": "array"}, ["a", 1]),
        ('{"a": 1}', {"type": "object"}, {"a": 1}),
        ("small", {"enum": ["small", 2]}, "small"),
        ("2", {"enum": ["small", 2]}, 2),
        ("2.0", {"type": "number", "enum": [2, 3]}, 2),
        ("text", {"type": ["string", "null"]}, "text"),
        ("123", {"type": ["string", "null"]}, "123"),
        ("null", {"type": ["string", "null"]}, None),
        ('"null"', {"type": ["string", "null"]}, "null"),
        ("5", EITHER, 5),
        ("1.5", EITHER, 1.5),
        ("1.10", EITHER, "1.10"),
        ("1e3", EITHER, "1e3"),
        ("1e999", EITHER, "1e999"),
        ("007", EITHER, "007"),
        (" 5", EITHER, " 5"),
        ('"5"', EITHER, "5"),
        ("true", EITHER, "true"),
        ("null", EITHER, "null"),
        ("[1]", EITHER, "[1]"),
        ("true", {"type": ["string", "boolean"]}, True),
        ("yes", {"type": ["string", "boolean"]}, "yes"),
        ("[1, 2]", {"type": ["string", "array"]}, [1, 2]),
        ("[1, 2", {"type": ["string", "array"]}, "[1, 2"),
        ("1", {"type": ["integer", "boolean"]}, 1),
        ("true", {"type": ["integer", "boolean"]}, True),
        ("null", {"type": ["integer", "null"]}, None),
        ("1.10", MIXED, "1.10"),
        ("1.9", MIXED, "1.9"),
        ("true", MIXED, True),
        ('"true"', MIXED, "true"),
        ("2", MIXED, 2),
        ("1.50", MIXED, 1.5),
        ("null", MIXED, None),
        ("[ 1 ]", MIXED, [1]),
        ("1.10", {"enum": ["1.9", "1.10", "true"]}, "1.10"),
        ("true", {"enum": ["1.9", "1.10", "true"]}, "true"),
        ("1.10", {"const": "1.10"}, "1.10"),
    ],
)
def test_a_value_is_read_as_its_type(text: str, schema: dict[str, Any], value: object) -> None:
    found = read_typed(text, schema)
    assert same(found, value)
    assert same(read_typed(typed_text(value, schema), schema), value)


@pytest.mark.parametrize(
    ("text", "schema", "said"),
    [
        ("x", {"type": "integer"}, "is not a whole number"),
        ("1.5", {"type": "integer"}, "is not a whole number"),
        ("true", {"type": "integer"}, "is not a whole number"),
        ("1_000", {"type": "integer"}, "is not a whole number"),
        ("٣", {"type": "integer"}, "is not a whole number"),
        ("", {"type": "integer"}, "is not a whole number"),
        ("9" * 400, {"type": "integer"}, "is larger than any number that can be stored"),
        ("-" + "9" * 5000, {"type": "integer"}, "is larger than any number that can be stored"),
        ("NaN", {"type": "number"}, "is not a number"),
        ("Infinity", {"type": "number"}, "is not a number"),
        ("1e999", {"type": "number"}, "is larger than any number that can be stored"),
        ("1e-999", {"type": "number"}, "is closer to zero than any number that can be stored"),
        ("maybe", {"type": "boolean"}, "is neither true nor false"),
        ("{}", {"type": "array"}, "is not a list in JSON"),
        ("a,b", {"type": "array"}, "is not a list in JSON: Expecting value: line 1 column 1 (char 0)"),
        ("[NaN]", {"type": "array"}, "is not a list in JSON: NaN is not a value of JSON"),
        ("[1e999]", {"type": "array"}, "is not a list in JSON: a number is larger than any that can be stored"),
        ("[" * 100_000, {"type": "array"}, "is not a list in JSON: it is nested too deeply"),
        ('["\\ud800"]', {"type": "array"}, "is not a list in JSON: it holds half a character (an unpaired surrogate)"),
        ("[]", {"type": "object"}, "is not an object in JSON"),
        ("x", {"type": ["integer", "null"]}, "is not a whole number or null"),
        ("1.1", MIXED, 'is none of "1.9", "1.10", "true", 2, 1.5, null, true, "small", [1], {"a": 1}'),
        ("\udcff", {"type": "string"}, "is not UTF-8 text"),
    ],
)
def test_a_value_of_another_type_is_refused(text: str, schema: dict[str, Any], said: str) -> None:
    with pytest.raises(Unreadable) as raised:
        read_typed(text, schema)
    assert str(raised.value) == said


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(JSON_VALUES)
def test_every_value_can_be_typed(value: Any) -> None:
    for schema in ({}, {"type": ["string", "number", "boolean", "null", "array", "object"]}, {"enum": [value]}):
        assert same(read_typed(typed_text(value, schema), schema), value)


@given(JSON_VALUES)
def test_what_json_has_is_read(value: Any) -> None:
    assert same(parse_json(json.dumps(value)), value)
    assert same(parse_json(json.dumps(value, ensure_ascii=False).encode()), value)
    check_numbers(value)


@pytest.mark.parametrize("value", [10**400, {"a": [float("inf")]}, [float("nan")], {"a": -(10**400)}])
def test_a_number_that_not_everybody_can_read_is_found(value: Any) -> None:
    with pytest.raises(ValueError, match="number"):
        check_numbers(value)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        ({"a": [1.0, {"b": 1e20}]}, {"a": [1, {"b": 10**20}]}, True),
        (1, True, False),
        (0.0, False, False),
        (1, "1", False),
        (1.5, 1, False),
        ([1], {"a": 1}, False),
    ],
)
def test_numbers_are_the_same_however_a_store_writes_them(one: object, other: object, equal: bool) -> None:
    assert same(one, other) is equal
