"""Values on the command line keep their bytes, going in and coming out; what can't be sent is refused in words."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from environments.domain.commands import CreateEnvironment
from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from tests.fakes.service import Served
from tests.support.command_line import CommandLine

EXACT = "a\tb\u00a0c👩‍👩‍👧 \x1b[31mred\x1b[0m\r\n\u2028é\u0301"
TEMPLATE = """
[template]
name = "typed"
[parameters.either]
type = ["string", "number"]
default = "1"
[parameters.pin]
type = "integer"
writeOnly = true
[parameters.ratio]
type = "number"
default = 0.5
[[steps]]
name = "a"
uses = "fake"
"""


@pytest.fixture(scope="module", autouse=True)
def _typed(api: Served) -> None:
    """The template that tests create environments from."""
    api.service.catalogue.push(api.service.admin, make_bundle({"template.toml": TEMPLATE.encode()}))


def printed(*arguments: str) -> bytes:
    """What a process of its own prints, in a terminal of that encoding."""
    *wanted, encoding = arguments
    command = [sys.executable, "-m", "environments", "env", "outputs", *wanted]
    environ = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run(command, env=environ, capture_output=True, timeout=120, check=True).stdout


def test_an_output_is_printed_as_it_is(cli: CommandLine) -> None:
    cli.service.requests.create(cli.service.admin, CreateEnvironment(name="exact", template="web"))
    values: dict[str, Any] = {"text": EXACT, "number": 1.5, "nothing": None, "list": ["\u00a0", 2], "empty": ""}
    cli.service.outputs("exact", {name: {"value": value} for name, value in values.items()})
    shown = cli("env", "outputs", "exact").out
    assert "a b\u00a0c👩‍👩‍👧 �[31mred" in shown
    assert "\x1b" not in shown
    assert 'empty    ""' in shown
    assert cli("env", "outputs", "exact", "empty").out == "\n"
    for encoding in ("utf-8", "latin-1"):
        assert printed("exact", "text", encoding) == EXACT.encode() + b"\n"
        assert json.loads(printed("exact", "list", encoding)) == values["list"]
    assert cli("env", "outputs", "exact", "number").out == "1.5\n"
    assert cli("env", "outputs", "exact", "nothing").out == "null\n"
    as_json = cli("env", "outputs", "exact", "-o", "json").json
    assert {name: found["value"] for name, found in as_json.items()} == values
    assert cli("env", "outputs", "exact", "text", "-o", "json").json == EXACT


def test_what_is_typed_for_a_parameter_arrives_with_its_type(cli: CommandLine) -> None:
    made = cli("env", "create", "typed-one", "--template", "typed", "--no-wait", "--pin", "42", "--either", "1.10")
    assert made.status == 0, made.err
    assert "1.10" in cli("env", "show", "typed-one", "-o", "json").out
    cli.service.finish("typed-one", State.READY)
    assert cli("env", "update", "typed-one", "--no-wait", "-p", "either=1.5").status == 0
    parameters = cli("env", "show", "typed-one", "-o", "json").json["parameters"]
    assert json.dumps(parameters, sort_keys=True) == '{"either": 1.5, "ratio": 0.5}'


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-p", "ratio=1e999"], "ratio: '1e999' is larger than any number that can be stored"),
        (["-p", "ratio=NaN"], "ratio: 'NaN' is not a number"),
        (["-p", "pin=hush1"], "pin: the value is not a whole number"),
        (["--pin", "hush2"], "pin: the value is not a whole number"),
        (["-p", f"pin={'9' * 400}"], "pin: the value is larger than any number that can be stored"),
        (["-p", "either=\udcff"], "Argument 7 (either=…) is not UTF-8 text."),
        (["--either", "\udcff"], "Argument 7 is not UTF-8 text."),
    ],
    ids=["1e999", "nan", "secret", "flag", "digits", "bytes", "bytes alone"],
)
def test_a_value_that_cannot_be_sent_is_refused_in_words(cli: CommandLine, arguments: list[str], said: str) -> None:
    refused = cli("env", "create", "typed-two", "--template", "typed", *arguments)
    assert refused.status == 2
    assert said in refused.err
    assert "hush" not in refused.err
    assert "999999" not in refused.err


@pytest.mark.parametrize(
    "body",
    [
        b'{"parameters": {"ratio": 1e999}}',
        b'{"parameters": {"ratio": NaN}}',
        b'{"parameters": {"ratio": %s}}' % (b"9" * 400),
        b'{"parameters": {"pin": -%s}}' % (b"9" * 5000),
        b'{"parameters": {"either": "\xff"}}',
        b'{"parameters": {"either": "\\udcff"}}',
    ],
    ids=["1e999", "nan", "400", "5000", "bytes", "half"],
)
def test_the_service_refuses_such_bodies_in_words(cli: CommandLine, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {cli.api.token}", "Content-Type": "application/json"}
    answer = httpx2.put(f"{cli.api.address}/v1/environments/any", content=body, headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert "set_int_max_str_digits" not in answer.text
    assert "codec" not in answer.text


def test_a_request_with_infinity_is_not_sent_as_null(cli: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "values.json"
    file.write_text('{"ratio": 1e400}')
    refused = cli("env", "create", "typed-three", "--template", "typed", "-p", f"@{file}")
    assert (refused.status, "larger than any" in refused.err) == (2, True)
