"""Values of every shape that a template may ask for go into a form and come back as they were, through a browser."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.domain.errors import InvalidInput
from environments.domain.json_values import same
from environments.ui import answers
from environments.ui.parameter_form import ParameterForm
from environments.ui.schema_forms import UNSET
from tests.support.form_reader import forms_in
from tests.support.hostile_texts import HOSTILE

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def _schema_of(value: Any, draw: Any) -> dict[str, Any]:
    """A schema that allows the value, of one of the many kinds that do."""
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    way = draw(st.integers(0, 9))
    if way == 0:
        return {"enum": ["one", 2, value]}
    if way == 1:
        return {"const": value}
    if way == 2:
        return {"oneOf": [{"type": "integer", "maximum": -1, "title": "debt"}, _plain_schema(value, draw, kinds)]}
    if way == 3:
        return {}
    return _plain_schema(value, draw, kinds)


def _plain_schema(value: Any, draw: Any, kinds: Mapping[type, str]) -> dict[str, Any]:
    if isinstance(value, list):
        if draw(st.booleans()) or not value:
            return {"type": "array", "items": _schema_of(value[0], draw) if value else {"type": "string"}}
        return {"type": "array", "prefixItems": [{}]}
    if isinstance(value, dict):
        if draw(st.integers(0, 3)) == 0:
            return {"type": "object", "additionalProperties": {"type": ["string", "null", "integer"]}}
        named = [name for name in value if draw(st.integers(0, 3))]
        return {
            "type": "object",
            "properties": {name: _schema_of(value[name], draw) for name in named},
            "required": [name for name in named if draw(st.booleans())],
        }
    if draw(st.integers(0, 3)) == 0:
        return {"type": sorted({kinds[type(value)], "null", "string"})}
    return {"type": kinds[type(value)]}


@st.composite
def shapes(draw: Any) -> tuple[dict[str, Any], Any]:
    value = draw(VALUES)
    return _schema_of(value, draw), value


def drawn(form: ParameterForm) -> str:
    """The fields as a page has them."""
    fields = '{% for one in fields %}{{ f.field(one, "/x") }}{% endfor %}'
    source = f'{{% import "fields.html" as f with context %}}<form>{fields}</form>'
    return answers._templates.from_string(source).render(fields=form.fields(), visit=SimpleNamespace())


def sent(form: ParameterForm) -> dict[str, list[str]]:
    """What a browser sends for the form as it is."""
    (found,) = forms_in(drawn(form))
    return found.fields


def whole(schema: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    return {"type": "object", "properties": {"p": schema}, "required": ["p"] if required else []}


@given(shapes(), st.booleans())
def test_a_value_comes_back_as_it_was(shape: tuple[dict[str, Any], Any], required: bool) -> None:
    schema, value = shape
    if not required:
        schema = {**schema, "default": "something else"}
    whole_schema = whole(schema, required=required)
    given_back = ParameterForm(whole_schema, sent(ParameterForm.new(whole_schema, {"p": value})))
    found = given_back.values()
    assert not given_back.faults
    assert found["p"] is not UNSET, (schema, value)
    assert same(found["p"], value), (schema, value, found)


NUMBER, STRING = {"type": "integer"}, {"type": "string"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


SHAPES: dict[str, tuple[dict[str, Any], Any]] = {
    "text": (STRING, "hello"),
    "several lines": (STRING, "\n one\n\n two \n"),
    "text that looks like a number": ({"type": ["string", "integer"]}, "5"),
    "nothing or a number": ({"type": ["integer", "null"]}, None),
    "nothing or an object": ({"anyOf": [{"type": "null"}, _object(a=STRING)]}, {"a": "b"}),
    "named elsewhere": (
        {
            "$ref": "#/$defs/a",
            "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/b"}}, "b": _object(n=NUMBER)},
        },
        [{"n": 1}, {}],
    ),
    "itself inside": (
        _object(name=STRING, inner={"$ref": "#"}),
        {"name": "1", "inner": {"name": "2", "inner": {"name": "3"}}},
    ),
    "put together": ({"allOf": [_object(a=STRING), {"properties": {"b": {"type": "number"}}}]}, {"a": "x", "b": 1.5}),
    "more than is named": (_object(a=STRING), {"a": "x", "others": [1]}),
    "names of one's own": (
        {"type": "object", "properties": {"a.b~c": STRING}, "additionalProperties": NUMBER},
        {"a.b~c": "x", "0": 1, "é ": 2},
    ),
    "one of two kinds": (
        {
            "oneOf": [
                {**_object(kind={"const": "none"}), "required": ["kind"]},
                {**_object(kind={"const": "disk"}, gb=NUMBER), "required": ["kind"]},
            ]
        },
        {"kind": "disk", "gb": 5},
    ),
    "choices with titles": ({"oneOf": [{"const": 1, "title": "One"}, {"const": "1", "title": "Text"}]}, "1"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_each_shape_comes_back(name: str) -> None:
    schema, value = SHAPES[name]
    form = ParameterForm(whole(schema), sent(ParameterForm.new(whole(schema), {"p": value})))
    assert form.values() == {"p": value}
    assert not form.faults


@pytest.mark.parametrize("name", SHAPES)
def test_most_shapes_have_fields_of_their_own(name: str) -> None:
    schema, value = SHAPES[name]
    fields = sent(ParameterForm.new(whole(schema), {"p": value}))
    as_json = [path for path, texts in fields.items() if path.endswith("~json") and any(texts)]
    assert bool(as_json) == (name == "more than is named")


def test_hostile_texts_are_texts_wherever_they_stand() -> None:
    for text in HOSTILE:
        if "\ud83d" in text or "\0" in text:
            continue
        schema = {
            "type": "object",
            "title": text,
            "description": text,
            "properties": {
                text: {"enum": [text, "x"], "title": text},
                "list": {"type": "array", "items": {"type": "string", "description": text, "examples": [text]}},
                "json": {"type": "array", "prefixItems": [{"const": text}]},
            },
        }
        value = {text: text, "list": [text], "json": [text]}
        form = ParameterForm.new(whole(schema), {"p": value})
        page = drawn(form)
        assert "<script" not in page
        assert "<img" not in page
        assert "onerror=alert(1)>" not in page
        assert ParameterForm(whole(schema), sent(form)).values() == {"p": value}


def test_a_schema_that_multiplies_is_one_field() -> None:
    inner: dict[str, Any] = {"type": "string"}
    definitions = {"d0": inner}
    for number in range(1, 6):
        definitions[f"d{number}"] = {
            "type": "object",
            "properties": {f"p{one}": {"$ref": f"#/$defs/d{number - 1}"} for one in range(20)},
        }
    schema = {"$ref": "#/$defs/d5", "$defs": definitions}
    assert list(sent(ParameterForm.new(whole(schema)))) == ["p.p~json"]


def test_a_secret_is_never_on_the_page() -> None:
    schema = whole({"type": "string", "writeOnly": True})
    form = ParameterForm(schema, {"secret.p": ["correct horse"]})
    assert form.values() == {"p": "correct horse"}
    page = drawn(form)
    assert "correct horse" not in page
    assert "type it again" in page
    again = ParameterForm(schema, sent(form))
    assert again.values() == {"p": UNSET}
    assert list(again.faults) == ["secret.p"]
    dropped = ParameterForm(schema, {**sent(form), "keep.p": ["1"]})
    assert dropped.values() == {"p": UNSET}
    assert not dropped.faults


def test_a_link_fills_in_no_secret() -> None:
    schema = {
        "properties": {"p": {"type": "string", "writeOnly": True}, "n": {"type": "integer"}},
        "required": ["p", "n"],
    }
    form = ParameterForm.new(schema, asked={"p": "hunter2", "n": "3"})
    assert "hunter2" not in drawn(form)
    assert form.asked() == {"n": "3"}
    wrong = ParameterForm.new(schema, asked={"n": "many"})
    assert wrong.faults == {"p.n": "The link's value is not a whole number."}
    assert 'value="many"' in drawn(wrong)


def test_rows_come_and_go_by_buttons() -> None:
    schema = whole(
        {"type": "array", "items": {"type": "object", "properties": {"port": {"type": "integer", "default": 80}}}}
    )
    form = ParameterForm(schema, {})
    assert form.change("add p.p")
    assert form.change("add p.p")
    assert form.values() == {"p": [{"port": 80}, {"port": 80}]}
    second = {**sent(form), "p.p:1.port": ["81"]}
    form = ParameterForm(schema, second)
    assert form.change("remove p.p 0")
    assert form.values() == {"p": [{"port": 81}]}
    assert not form.change("create")


def test_what_the_service_says_stands_at_the_field() -> None:
    schema = whole({"type": "array", "items": {"type": "object", "properties": {"port": {"type": "integer"}}}})
    form = ParameterForm(schema, {"p.p~row": ["3", "7"], "p.p:3.port": ["1"], "p.p:7.port": ["2"]})
    form.blame(["p.1.port: 2 is less than the minimum of 10"])
    assert form.faults == {"p.p:7.port": "2 is less than the minimum of 10."}


def test_a_form_with_more_rows_than_anybody_makes_is_refused() -> None:
    row = {"type": "object", "properties": {f"field{number}": {"type": "string"} for number in range(200)}}
    schema = {"properties": {name: {"type": "array", "items": row} for name in ("some", "more")}}
    numbers = [str(number) for number in range(100)]
    ParameterForm(schema, {"p.some~row": numbers[:40]}).fields()
    with pytest.raises(InvalidInput):
        ParameterForm(schema, {"p.some~row": numbers, "p.more~row": numbers})
