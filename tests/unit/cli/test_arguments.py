"""What people type becomes what the API wants."""

import io
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from environments.cli.arguments import read_lifetime, read_parameters
from environments.domain.errors import InvalidInput, InvalidLifetime, InvalidParameters
from environments.domain.json_values import is_text

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


def test_a_secret_is_not_repeated() -> None:
    secret = {"properties": {name: {**schema, "writeOnly": True} for name, schema in SCHEMA["properties"].items()}}
    pairs = ["replicas=hush1", "debug=hush2", "hosts=hush3", "labels=[hush4", "size=hush5", "share=1e999"]
    with pytest.raises(InvalidParameters) as told:
        read_parameters(secret, pairs, template="web")
    assert len(told.value.details["problems"]) == len(pairs)
    assert "hush" not in f"{told.value.message} {told.value.hint} {told.value.details}"
    for pairs, rest in ((["hush6"], []), ([], ["hush7"])):
        with pytest.raises(InvalidInput) as refused:
            read_parameters(secret, pairs, rest, template="web")
        assert "hush" not in f"{refused.value.message} {refused.value.hint}"


def test_a_value_that_is_repeated_is_short_and_text() -> None:
    for text in ("x" * 5000, "9" * 5000, "\udcff"):
        with pytest.raises(InvalidParameters) as told:
            read_parameters(SCHEMA, [f"replicas={text}"], template="web")
        assert len(told.value.message) < 250
        assert is_text(told.value.message)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"message": "\xff"}', "it is not UTF-8 (at byte 13)"),
        (b'{"share": 1e999}', "larger than any"),
        (b'{"share": NaN}', "NaN is not a value of JSON"),
        (b'{"replicas": ' + b"9" * 5000 + b"}", "larger than any"),
        (b'{"replicas": ' + b"9" * 400 + b"}", "larger than any"),
        (b'{"message": "\\ud800"}', "half a character"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "holds no JSON object"),
        ('{"message": "a"}'.encode("utf-16"), "it is not UTF-8"),
        (b'{"message": "a", "message": "a"}', "an object in it has the same key twice"),
    ],
    ids=["bytes", "1e999", "nan", "digits", "400", "half", "deep", "list", "utf-16", "twice"],
)
def test_a_file_of_parameters_that_is_no_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    file = tmp_path / "more.json"
    file.write_bytes(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    for name in (str(file), "-"):
        with pytest.raises(InvalidInput) as told:
            read_parameters(SCHEMA, [f"@{name}"], template="web")
        assert said in told.value.message
        assert "set_int_max_str_digits" not in told.value.message


def test_a_value_with_a_key_twice_is_refused() -> None:
    schema = {"type": "object", "properties": {"labels": {"type": "object"}}}
    with pytest.raises(InvalidParameters) as told:
        read_parameters(schema, ['labels={"a": {"b": 1, "b": 2}}'], template="web")
    assert "is not an object in JSON: an object in it has the same key twice" in str(told.value.details)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "more.json"
    file.write_bytes(b"\xef\xbb\xbf" + b'{"replicas": 2}')
    assert read_parameters(SCHEMA, [f"@{file}"], template="web") == {"replicas": 2}


def test_a_moment_is_read_in_the_zone_of_the_person() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert read_lifetime(None, "2026-12-01T18:00", berlin) == (None, datetime(2026, 12, 1, 17, tzinfo=UTC))
    assert read_lifetime(None, "2026-07-01T18:00", berlin) == (None, datetime(2026, 7, 1, 16, tzinfo=UTC))
    assert read_lifetime(None, "2026-12-01T18:00+00:00", berlin) == (None, datetime(2026, 12, 1, 18, tzinfo=UTC))
    assert read_lifetime("2h", None, berlin) == ("2h", None)
    for ttl, until in (("2h", "2026-12-01"), ("2 hours", None), (None, "tomorrow"), (None, "2027-03-28T02:30")):
        with pytest.raises(InvalidLifetime):
            read_lifetime(ttl, until, berlin)
