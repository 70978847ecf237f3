"""Templates, parameters and bundles as anybody could write them: sensible, hostile, and broken in between."""

import base64
import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from hypothesis import strategies as st

EVIL_PATTERNS = (
    "^(a+)+$",
    "^(a|a)*$",
    "(.*a){25}",
    "((a{1000}){1000})",
    "^(?!a)",
    r"(a)\1",
    "(?<=a)",
    "[",
    "\\",
    "a{1,5000}",
    r"\p{Nope}",
    r"\u{110000}",
    "(?P<n>a)(?P<n>b)",
    "\\ud800",
    "(" * 500,
    "a?" * 300 + "a" * 300,
)
EVIL_EXPRESSIONS = (
    "{{ 'x' * 10**9 }}",
    "{{ 9**(9**9) }}",
    "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
    "{{ '%1000000000d' % 1 }}",
    "{{ 'x'.ljust(10**9) }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ parameters }}",
    "{{ parameters.p ~ parameters.p }}",
    "{{ parameters.p | tojson }}",
    "{{ parameters.p | int(base=0) }}",
    "{{ " + "(" * 300 + "1" + ")" * 300 + " }}",
    "{{ " + "not " * 900 + "1 }}",
    "{% set x = 1 %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% include 'x' %}",
    "{% extends 'x' %}",
    "{{",
    "{{ }}",
    "{% raw %}",
    "{# x",
    "{{ steps.a.url }}",
    "{{ images.web }}",
    "{{ images[0] }}",
    "{{ 1e400 }}",
    "{{ 10**4400 }}",
)
EVIL_REFERENCES = (
    "#",
    "#/",
    "#/$defs/a",
    "#/nowhere",
    "#/type",
    "#a",
    "http://127.0.0.1:1/",
    "file:///dev/zero",
    "x",
    "#/%zz",
    "",
)

SCHEDULES = ("0 4 * * *", "0 0 30 2 *", "* * 29 2 1#5", "0 0 */30 2 1#5", "1" * 5000, "1/1/1 * * * *")

texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", "a", "web", "x" * 5000, "\0", "\x1b[31m", "é", "😀", "a\nb", "${env}", "%{if}", "{{ 1 }}"]),
    st.sampled_from(EVIL_EXPRESSIONS),
)
numbers = st.one_of(
    st.integers(-100, 100),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**400, 10**4000, -(10**4000), 1e308, -1e308, 5e-324, 0.1, -0.0]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)


def _deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


values = st.one_of(
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
        max_leaves=15,
    ),
    st.sampled_from([10, 63, 64, 65, 300, 900]).map(_deep),
    st.sampled_from([10, 300, 3000]).map(lambda count: [{"a": [number]} for number in range(count)]),
    st.sampled_from([10, 3000]).map(lambda count: {f"k{number}": number for number in range(count)}),
    st.sampled_from([30, 20_000]).map(lambda count: "a" * count + "!"),
)
"""JSON values."""

patterns = st.one_of(
    st.sampled_from(EVIL_PATTERNS), st.text("ab()[]{}|*+?.^$\\-0,dwsu", max_size=12), st.just("^[a-z]*$")
)
types = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"])


sizes = st.integers(0, 5) | numbers
_PLAIN = {
    "type": types | st.lists(types, max_size=3) | texts,
    "enum": st.lists(values, max_size=4),
    "const": values,
    "default": values,
    "description": texts,
    "writeOnly": st.booleans(),
    "minimum": numbers,
    "maximum": numbers,
    "exclusiveMinimum": numbers,
    "multipleOf": numbers,
    "minLength": sizes,
    "maxLength": sizes,
    "pattern": patterns,
    "format": texts,
    "uniqueItems": st.booleans(),
    "minItems": sizes,
    "minContains": sizes,
    "required": st.lists(texts, max_size=2),
    "dependentRequired": st.dictionaries(texts, st.lists(texts, max_size=2), max_size=2),
    "$ref": st.sampled_from(EVIL_REFERENCES),
    "$dynamicRef": st.sampled_from(EVIL_REFERENCES),
    "$dynamicAnchor": texts,
    "$anchor": st.sampled_from(["a", "", "é"]),
    "$id": st.sampled_from(EVIL_REFERENCES),
    "$schema": st.sampled_from([*EVIL_REFERENCES, "https://json-schema.org/draft/2020-12/schema"]),
    "$vocabulary": values,
    "x-own": values,
}
_ONE = (
    "items",
    "contains",
    "additionalProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
)
_LISTED = ("prefixItems", "allOf", "anyOf", "oneOf", "items")
_NAMED = ("properties", "patternProperties", "dependentSchemas", "$defs")
_names = st.sampled_from(["a", "b", "type", "$ref", "default"]) | st.text(max_size=4)


@st.composite
def _schemas(draw: st.DrawFn, deepest: int = 3) -> Any:
    """A schema of a few keywords, with others inside."""
    if deepest < 3 and draw(st.integers(0, 3)) == 0:
        return draw(st.booleans())
    made: dict[str, Any] = {}
    for keyword in draw(st.lists(st.sampled_from([*_PLAIN, *_ONE, *_LISTED, *_NAMED]), min_size=1, max_size=4)):
        if keyword in _PLAIN:
            made[keyword] = draw(_PLAIN[keyword])
        elif deepest == 0:
            made[keyword] = True
        elif keyword in _NAMED:
            named = draw(st.lists(patterns if keyword == "patternProperties" else _names, max_size=2))
            made[keyword] = {name: draw(_schemas(deepest - 1)) for name in named}
        elif keyword in _ONE:
            made[keyword] = draw(_schemas(deepest - 1))
        else:
            made[keyword] = [draw(_schemas(deepest - 1)) for _ in range(draw(st.integers(0, 3)))]
    return made


_likely = {
    "minimum": numbers,
    "maxLength": st.integers(0, 50),
    "pattern": patterns,
    "uniqueItems": st.booleans(),
}
schemas = st.one_of(
    st.builds(lambda kind, more: {"type": kind, **more}, types, st.fixed_dictionaries({}, optional=_likely)),
    st.builds(lambda kind, more: {"type": kind, **more}, types, _schemas()),
    _schemas(),
)
"""Schemas of parameters, some of them none at all."""


def toml(value: Any) -> str:
    """A value as TOML; what TOML doesn't have (null) as an empty list."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, float):
        told = repr(value)
        return told if "." in told or "n" in told else told.replace("e", ".0e")
    if isinstance(value, int):
        return _digits(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_text(str(key))} = {toml(part)}' for key, part in value.items())}}}"
    return f"[{', '.join(map(toml, value))}]" if isinstance(value, list | tuple) else "[]"


def _text(text: str) -> str:
    told = "".join(
        character if character.isprintable() and character not in '"\\' else _escaped(character) for character in text
    )
    return f'"{told}"'


def _escaped(character: str) -> str:
    return f"\\U{ord(character):08X}"


def _digits(number: int) -> str:
    return str(number) if abs(number) < 10**4299 else "9" * 5000


moments = st.dates() | st.datetimes()
options = st.one_of(
    st.dictionaries(
        st.sampled_from(["keys", "file", "folder", "variables", "service", "names", "a"]), values, max_size=3
    ),
    st.fixed_dictionaries({"file": st.sampled_from(["job.hcl", "template.toml", "../x", "nowhere"])}),
    st.fixed_dictionaries({"folder": st.sampled_from([".", "m", "..", ""]), "variables": values, "outputs": values}),
    st.fixed_dictionaries({"keys": st.dictionaries(st.text(max_size=5), texts, max_size=2)}),
    st.dictionaries(st.text(max_size=5), moments | st.sampled_from([float("inf"), float("nan")]), max_size=2),
)
kinds = st.sampled_from(
    ["fake", "consul.kv", "nomad.job", "opentofu.module", "vault.secret", "check.http", "agent.local", "none"]
)
labels = st.sampled_from(["a", "b", "c", "shared", "A", "", "a--b", "x" * 64])


@st.composite
def template_texts(draw: st.DrawFn, parameters: st.SearchStrategy[dict[str, Any]] | None = None) -> str:
    """The text of a `template.toml`, mostly one that can be read."""
    told: dict[str, Any] = {"name": "fuzzed"}
    told |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                "name": labels,
                "version": texts,
                "description": texts,
                "limit": numbers,
                "host_volumes": st.lists(texts, max_size=2),
                "other": values,
            },
        )
        if draw(st.booleans())
        else st.just({})
    )
    lines = ["[template]", *(f"{key} = {toml(value)}" for key, value in told.items())]
    asked = draw(
        parameters
        if parameters is not None
        else st.dictionaries(st.sampled_from(["p", "q", "é", "a b"]), schemas, max_size=2)
    )
    lines += [
        f"[parameters]\n{_text(name)} = {toml(schema)}" if index == 0 else f"{_text(name)} = {toml(schema)}"
        for index, (name, schema) in enumerate(asked.items())
    ]
    if draw(st.booleans()):
        lines += [
            "[drift]",
            f"schedule = {toml(draw(st.sampled_from(SCHEDULES) | texts))}",
        ]
        lines += [f"zone = {toml(draw(st.sampled_from(['UTC', '../etc/passwd', 'x' * 300]) | texts))}"]
    for name in draw(st.lists(labels, min_size=1, max_size=4, unique=True)):
        lines += ["[[steps]]", f"name = {toml(name)}", f"uses = {toml(draw(kinds))}"]
        lines += [f"with = {toml(draw(options))}"] if draw(st.booleans()) else []
        lines += [f"needs = {toml(draw(st.lists(labels, max_size=2)))}"] if draw(st.booleans()) else []
    for name, value in draw(st.dictionaries(st.sampled_from(["url", "x y"]), texts, max_size=2)).items():
        lines += ["[outputs]" if "[outputs]" not in lines else "", f"{_text(name)} = {toml(value)}"]
    text = "\n".join(lines)
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(text)))
        text = (
            text[:at]
            + draw(st.text(max_size=5) | st.sampled_from(["[" * 2000, "a." * 3000, "{" * 900, '"""', "'''"]))
            + text[at:]
        )
    return text


hcl = st.one_of(
    st.text('ab1 \n{}"$%<-=#/*\\.', max_size=200),
    st.builds(
        lambda part, count: part * count,
        st.sampled_from(["/*", "<<m1\n", "a ", "${", 'x = "', "terraform {", 'job "a" {', 'variable "a" {}\n']),
        st.sampled_from([1, 3, 1000, 20_000]),
    ),
    st.sampled_from(
        ['job "web" {\n}\n', 'terraform {\n  backend "s3" {}\n}\n', "{" * 5000, '{"terraform": []}', "[" * 5000]
    ),
)
paths = st.one_of(
    st.sampled_from(
        [
            "job.hcl",
            "main.tf",
            "m/main.tf",
            "m/x.tf.json",
            "../x",
            "/x",
            "a//b",
            ".",
            "",
            "a\\b",
            "x" * 300,
            "\0",
            "é",
            "\x1b",
        ]
    ),
    st.text(max_size=12),
)


@st.composite
def bundles(draw: st.DrawFn, text: str) -> dict[str, str]:
    """The files of a push: base64 of a template's text and of others, some of them junk."""
    files = {"template.toml": base64.b64encode(text.encode(errors="replace")).decode()}
    for path, content in draw(st.dictionaries(paths, hcl, max_size=3)).items():
        files[path] = base64.b64encode(content.encode()).decode()
    if draw(st.integers(0, 7)) == 0:
        files |= draw(
            st.dictionaries(
                paths, st.text(max_size=9) | st.sampled_from(["====", "YQ", "YQ==\n", "\ud800"]), max_size=2
            )
        )
    if draw(st.integers(0, 30)) == 0:
        files |= {f"f{number}": "" for number in range(draw(st.sampled_from([1999, 2001, 30_000])))}
    return files


times = st.fixed_dictionaries(
    {},
    optional={
        "ttl": st.sampled_from(["1h", "9" * 5000 + "d", "1d" * 5000, "٣h", "0s", "99999999w"]) | texts,
        "until": st.sampled_from(["2026-12-01T18:00", "9999-12-31T23:59:59+14:00", "0001-01-01T00:00:00Z"]) | texts,
    },
)
"""When an environment is to be destroyed."""


def body(value: Any) -> bytes:
    """A value as JSON, also one that JSON doesn't have."""
    return json.dumps(value).encode(errors="surrogatepass")
