"""What people type becomes what the API wants."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from environments.cli.arguments import read_lifetime, read_parameters, read_value
from environments.domain.errors import InvalidInput, InvalidLifetime, InvalidParameters

SCHEMA: dict[str, Any] = {
    "properties": {
        "replicas": {"type": "integer"},
        "message": {"type": "string"},
        "share": {"type": "number"},
        "debug": {"type": "boolean"},
        "hosts": {"type": "array"},
        "labels": {"type": "object"},
        "size": {"enum": ["small", 2]},
        "log_level": {"type": "string"},
    }
}


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("2", {"type": "integer"}, 2),
        ("2", {"type": "string"}, "2"),
        ("{{ x }} ${y} \"'", {"type": "string"}, "{{ x }} ${y} \"'"),
        ("", {"type": "string"}, ""),
        ("0.5", {"type": "number"}, 0.5),
        ("3", {"type": "number"}, 3),
        ("Yes", {"type": "boolean"}, True),
        ("off", {"type": "boolean"}, False),
        ('["a", 1]', {"type": "array"}, ["a", 1]),
        ('{"a": 1}', {"type": "object"}, {"a": 1}),
        ("small", {"enum": ["small", 2]}, "small"),
        ("2", {"enum": ["small", 2]}, 2),
        ("text", {"type": ["string", "null"]}, "text"),
        ("null", {"type": ["string", "null"]}, None),
    ],
)
def test_a_value_is_read_as_its_type(text: str, schema: dict[str, Any], value: object) -> None:
    found = read_value(text, schema)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("x", "integer"),
        ("1.5", "integer"),
        ("true", "integer"),
        ("NaN", "number"),
        ("", "integer"),
        ("maybe", "boolean"),
        ("{}", "array"),
        ("a,b", "array"),
        ("[]", "object"),
    ],
)
def test_a_value_of_another_type_is_refused(text: str, kind: str) -> None:
    with pytest.raises(ValueError, match=r"is not of type|neither"):
        read_value(text, {"type": kind})


def test_all_ways_to_give_parameters(tmp_path: Path) -> None:
    file = tmp_path / "more.json"
    file.write_text('{"labels": {"a": "b"}}')
    values = read_parameters(
        SCHEMA,
        ["replicas=2", "message=a=b", f"@{file}"],
        ["--share", "0.5", "--debug", "--log-level=info", "--hosts", "[]"],
        template="web",
    )
    assert values == {
        "replicas": 2,
        "message": "a=b",
        "labels": {"a": "b"},
        "share": 0.5,
        "debug": True,
        "log_level": "info",
        "hosts": [],
    }


def test_everything_wrong_is_named_at_once() -> None:
    with pytest.raises(InvalidParameters) as told:
        read_parameters(SCHEMA, ["replicas=x", "nope=1", "debug=2"], ["--tll", "2h"], template="web")
    assert len(told.value.details["problems"]) == 4
    for part in ("replicas", "'nope'", "debug", "'tll'"):
        assert part in told.value.message
    assert "replicas, message" in told.value.hint


@pytest.mark.parametrize("pairs", [["replicas"], ["=2"], ["@/nowhere.json"]])
def test_what_is_no_parameter(pairs: list[str]) -> None:
    with pytest.raises(InvalidInput):
        read_parameters(SCHEMA, pairs, template="web")


@pytest.mark.parametrize("rest", [["stray"], ["--message"], ["--"], ["--message", "a", "b"]])
def test_arguments_that_are_left_over(rest: list[str]) -> None:
    with pytest.raises(InvalidInput):
        read_parameters(SCHEMA, [], rest, template="web")


def test_a_moment_is_read_in_the_zone_of_the_person() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert read_lifetime(None, "2026-12-01T18:00", berlin) == (None, datetime(2026, 12, 1, 17, tzinfo=UTC))
    assert read_lifetime(None, "2026-07-01T18:00", berlin) == (None, datetime(2026, 7, 1, 16, tzinfo=UTC))
    assert read_lifetime(None, "2026-12-01T18:00+00:00", berlin) == (None, datetime(2026, 12, 1, 18, tzinfo=UTC))
    assert read_lifetime("2h", None, berlin) == ("2h", None)
    for ttl, until in (("2h", "2026-12-01"), ("2 hours", None), (None, "tomorrow"), (None, "2027-03-28T02:30")):
        with pytest.raises(InvalidLifetime):
            read_lifetime(ttl, until, berlin)
