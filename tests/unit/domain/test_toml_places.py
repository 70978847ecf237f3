"""Where the parts of a TOML file are."""

import time
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from environments.domain.faults import Path
from environments.domain.toml_places import TomlPlaces

TEXT = '''# a comment with [[steps]] and name = "x"
[template]
name = "x" # = "y"
description = """
[parameters.no]
""\\"
name = 1
"""
a.'b c'."d\\u0065" = 1

[parameters.p]
type = "string" ; pattern
'''

GOOD = '''[template]
name = "x"
text = """
[parameters.no]
type = 1
"""
[ parameters . "a b" ]
type = 'string'
[parameters.q.properties]
x.type = "integer"
x.minimun = 3

[[steps]]
name = "one"
with = { keys = { a = [1, { b = 2 }, """
]""", 4], "c.d" = 5 } }
[[steps]]
name = "two"
[steps.with.keys]
day = 2026-11-26 10:00:00 # } ]
"x\\ty" = [
  1, # [ {
  2,
]
[outputs.url]
value = ''
'''


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("template",), (1, 1)),
        (("template", "name"), (2, 1)),
        (("parameters", "a b"), (7, 1)),
        (("parameters", "a b", "type"), (8, 1)),
        (("parameters", "q", "properties", "x", "minimun"), (11, 1)),
        (("steps", 0), (13, 1)),
        (("steps", 0, "name"), (14, 1)),
        (("steps", 0, "with", "keys", "a", 1, "b"), (15, 29)),
        (("steps", 0, "with", "keys", "a", 3), (16, 7)),
        (("steps", 0, "with", "keys", "c.d"), (16, 11)),
        (("steps", 1), (17, 1)),
        (("steps", 1, "with", "keys", "day"), (20, 1)),
        (("steps", 1, "with", "keys", "x\ty", 1), (23, 3)),
        (("outputs", "url", "value", "inside"), (26, 1)),
        (("steps", 1, "needs"), (17, 1)),
        (("lifetime",), None),
    ],
)
def test_parts_are_found(path: Path, place: tuple[int, int] | None) -> None:
    tomllib.loads(GOOD)
    assert TomlPlaces(GOOD).find(path) == place


def test_text_that_is_no_toml_is_read_as_far_as_it_can_be() -> None:
    found = TomlPlaces(TEXT)
    assert found.find(("template", "name")) == (3, 1)
    assert found.find(("template", "a", "b c", "de")) == (9, 1)


def paths(value: Any, path: Path = ()) -> list[Path]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, part in inner for found in paths(part, (*path, key)))]


@given(st.text(alphabet="ab.=[]{}\"'\\#,\n \t1", max_size=200))
@settings(max_examples=500, deadline=None)
def test_every_part_of_whatever_tomllib_reads_has_a_place(text: str) -> None:
    found = TomlPlaces(text)
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError):
        return
    for path in paths(document)[1:]:
        assert found.find(path) is not None


@pytest.mark.parametrize(
    "part", ["[", "{", '"""', "a.", "a=[", "a={b=", "[[a]]\n", "#", "'", '"\\', "a=1\n", '"a"."b".']
)
def test_repeated_parts_take_linear_time(part: str) -> None:
    def taken(count: int) -> float:
        begin = time.process_time()
        TomlPlaces(part * count)
        return time.process_time() - begin

    assert taken(40_000) < 40 * taken(4_000) + 1
