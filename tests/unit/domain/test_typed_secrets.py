"""Secret parameters that are not texts keep their type, and never stand in an error."""

from typing import Any

import pytest

from environments.domain.cleaning import Cleaner
from environments.domain.errors import InvalidParameters
from environments.domain.template_parts import Template
from environments.service.parameters import check_parameters

TEMPLATE = Template.model_validate(
    {
        "name": "t",
        "parameters": {
            "pin": {"type": "integer", "maximum": 9999, "writeOnly": True},
            "token": {"type": "string", "pattern": "^[a-z]+$", "writeOnly": True},
            "login": {
                "type": "object",
                "properties": {"user": {"type": "string"}, "list": {"type": "array", "items": {"type": "integer"}}},
                "additionalProperties": {"type": "string"},
                "writeOnly": True,
            },
        },
        "steps": [{"name": "a", "uses": "fake"}],
    }
)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pin": "hushhush"}, 'pin: does not fit (type: "integer")'),
        ({"pin": 77123}, "pin: does not fit (maximum: 9999)"),
        ({"token": "HUSH77123"}, 'token: does not fit (pattern: "^[a-z]+$")'),
        ({"pin": 2**53 + 1}, "pin: holds a whole number that OpenBao doesn't keep exactly"),
        ({"login": {"list": [-(10**23) - 1]}}, "login: holds a whole number that OpenBao doesn't keep exactly"),
        ({"login": {"user": 77123}}, 'login.user: does not fit (type: "string")'),
        ({"login": {"list": [1, "hushhush"]}}, 'login.list.1: does not fit (type: "integer")'),
        ({"login": {"hushhush": 77123}}, 'login: does not fit (type: "string")'),
    ],
)
def test_an_error_says_what_is_wanted_and_nothing_of_the_secret(given: dict[str, Any], said: str) -> None:
    fitting = {"pin": 1, "token": "a", "login": {}}
    with pytest.raises(InvalidParameters) as raised:
        check_parameters(TEMPLATE, {**fitting, **given})
    told = f"{raised.value.message} {raised.value.hint} {raised.value.details}"
    assert said in told
    assert "hush" not in told.lower()
    assert "77123" not in told


def test_what_programs_say_of_such_a_secret_is_hidden() -> None:
    cleaner = Cleaner([{"user": "lovelace", "code": [123456789]}, 4711, True, None])
    assert cleaner.clean("lovelace 123456789 4711 true None") == "*** *** *** true None"
    assert cleaner.clean('login={"user":"lovelace","code":[123456789]}') == "login=***"
    assert Cleaner([True, False, None, 42]).clean("true false null 42") == "true false null 42"
