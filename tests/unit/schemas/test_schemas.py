"""Schemas of parameters that people write: patterns in linear time, nothing fetched, numbers of any size."""

import contextlib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from environments.domain.errors import InvalidParameters, SchemaUnsupported
from environments.domain.template import parse_template
from environments.schemas.keywords import validator_for
from environments.schemas.patterns import UnusablePattern, check_pattern, found
from environments.service.parameters import check_parameters
from tests.support.schemas import faults, template

OUTSIDE = [
    "http://127.0.0.1:1/x",
    "https://example.invalid/x",
    "file:///etc/passwd",
    "file://x",
    "other.json",
    "urn:x:y",
    "/x",
]


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("^[a-z]+$", "web", True),
        ("^[a-z]+$", "web\n", False),  # in ECMA-262 `$` is the end, not the place before a line's end
        ("b", "abc", True),
        (r"^\d+$", "٣", False),  # in ECMA-262 digits are ASCII
        (r"^\u0041\u{1F600}$", "A😀", True),
        (r"^\\u0041$", r"\u0041", True),
        ("^(?:main|release/.+)$", "release/1", True),
        (r"^\p{Lu}", "Ä", True),
    ],
)
def test_a_pattern_means_what_ecma_262_says(pattern: str, text: str, fits: bool) -> None:
    assert found(pattern, text) is fits


@pytest.mark.parametrize(
    ("pattern", "suggestion"),
    [
        ("^(?!x)a", "`not`"),
        ("(?<=x)a", "look-behind"),
        (r"(a)\1", "alternatives"),
        ("a{1,5000}", "maxLength"),
        ("((a{1000}){1000})", ""),
        ("((((a{100}){100}){100}){100})", ""),
        (r"a\Z", "`$`"),
        ("(", ""),
        ("a" * 5000, ""),
    ],
)
def test_a_pattern_that_cannot_be_run_is_a_fault_with_a_suggestion(pattern: str, suggestion: str) -> None:
    with pytest.raises(UnusablePattern) as error:
        check_pattern(pattern)
    assert suggestion in error.value.suggestion
    assert "parameters.p.pattern" in faults({"type": "string", "pattern": pattern})
    assert "parameters.p.patternProperties" in faults({"type": "object", "patternProperties": {pattern: {}}})


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*a){20}", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_no_pattern_goes_back(pattern: str) -> None:
    """Half a megabyte, where a matcher that goes back would need more steps than there are atoms."""
    assert found(pattern, "a" * 250_000 + "!" + "\u00e4" * 1000) in (True, False)
    schema = {"type": "object", "patternProperties": {pattern: True}, "additionalProperties": False}
    list(validator_for(schema).iter_errors({"a" * 50_000 + "!": 1}))


@given(st.text(alphabet=r"ab\u0041{}()[]|*+?.^$-1,\dwsZ", max_size=40), st.text(max_size=40))
@example("\\", "x")
@example("\\u{110000}", "x")
@settings(max_examples=200, deadline=None)
def test_any_pattern_is_run_or_refused(pattern: str, text: str) -> None:
    with contextlib.suppress(UnusablePattern):
        assert found(pattern, text) in (True, False)


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef", "$id", "$schema"])
@pytest.mark.parametrize("target", OUTSIDE)
def test_nothing_outside_of_a_schema_is_named(keyword: str, target: str) -> None:
    for schema in (
        {"type": "string", keyword: target},
        {"type": "array", "items": {"anyOf": [{keyword: target}]}},
        {"type": "object", "properties": {"default": {keyword: target}}},
        {"type": "string", "$defs": {"x": {keyword: target}}},
    ):
        assert keyword in faults(schema)
        with pytest.raises(SchemaUnsupported, match="'p'"):
            check_parameters(template(p=schema), {"p": "x"})


def test_what_only_looks_like_a_reference_is_data() -> None:
    assert faults({"type": "object", "default": {"$ref": "http://127.0.0.1:1/"}}) == ""
    assert faults({"type": "object", "properties": {"$ref": {"type": "string"}, "pattern": {"type": "string"}}}) == ""
    assert faults({"enum": [{"$ref": "file:///etc/passwd"}]}) == ""


def test_references_inside_of_a_parameters_schema_are_followed() -> None:
    schema = {"type": "array", "items": {"$ref": "#/$defs/port"}, "$defs": {"port": {"type": "integer", "minimum": 1}}}
    assert faults(schema) == ""
    assert check_parameters(template(p=schema), {"p": [80]}) == {"p": [80]}
    with pytest.raises(InvalidParameters, match=r"p\.0: 0 is less than the minimum of 1"):
        check_parameters(template(p=schema), {"p": [0]})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "$ref": "#"},
        {
            "type": "string",
            "allOf": [{"$ref": "#/$defs/a"}],
            "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
        },
        {"type": "string", "$ref": "#/nowhere"},
        {"type": "string", "$ref": "#/type"},
        {"type": "string", "$ref": "#nowhere"},
        {"type": "string", "$ref": "#/allOf/x", "allOf": [True]},
    ],
)
def test_references_that_lead_nowhere_or_never_end_are_faults(schema: dict[str, Any]) -> None:
    assert "parameters.p: " in faults(schema)
    with pytest.raises(SchemaUnsupported):
        check_parameters(template(p=schema), {"p": "x"})


def test_a_schema_that_refers_to_itself_for_inner_values_is_fine() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#"}}, "additionalProperties": False}
    assert faults(tree) == ""
    assert check_parameters(template(p=tree), {"p": {"left": {"left": {}}}})


@pytest.mark.parametrize("value", [10**4000, -(10**4000), 1e308, 5e-324, 10**400, 0, True])
@pytest.mark.parametrize("divisor", [1e308, 5e-324, 0.1, 3, 10**3000, 1])
def test_multiples_of_numbers_of_any_size(value: float, divisor: float) -> None:
    list(validator_for({"type": "number", "multipleOf": divisor}).iter_errors(value))


@pytest.mark.parametrize("text", ["2020-01-01", "inf", "nan", "-inf", "12:00:00", "[1, nan]", "{ a = inf }"])
def test_values_that_json_does_not_have_are_faults(text: str) -> None:
    parameter = f'[parameters.p]\ntype = "number"\ndefault = {text}\n'
    told = parse_template(f'[template]\nname = "x"\n{parameter}[[steps]]\nname = "a"\nuses = "f"\n')
    assert "JSON doesn't have" in faults(told.parameters["p"])


def test_deep_values_are_refused_before_they_are_checked() -> None:
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    with pytest.raises(InvalidParameters, match="nested deeper than 64 levels"):
        check_parameters(template(p={"type": "array"}), {"p": deep})
    assert "nested deeper" in faults({"type": "array", "default": deep})


def test_what_is_said_of_a_value_is_short() -> None:
    with pytest.raises(InvalidParameters) as error:
        check_parameters(
            template(p={"type": "array", "items": {"type": "string", "maxLength": 1}}), {"p": ["x" * 9000] * 999}
        )
    assert len(error.value.message) < 10_000
    assert error.value.details["by_name"].keys() == {"p"}
