"""Cases of `doit test:upgrade` that a version refuses: left out by the table alone, and never silently."""

from pathlib import Path

import httpx2
import pytest

from tests.support.attack_harness import Person
from tests.support.refusal_table import table
from tests.upgrade.refused import NAME, Refusal, push, refusals


def test_each_line_of_the_table_is_of_a_case(tmp_path: Path) -> None:
    assert set(refusals()) == {"pattern", "reader", NAME}
    with pytest.raises(AssertionError, match="no cases"):
        refusals(table(tmp_path, "63ca316", "nothing"))


def test_what_is_left_out_is_told_and_refused_as_the_table_says() -> None:
    told: list[str] = []
    answers = {"code": "invalid_template"}

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(422 if answers.get("code") else 201, json=answers)

    person = Person("admin", "http://nowhere.invalid", "")
    person.http = httpx2.Client(transport=httpx2.MockTransport(answer), base_url=person.address, timeout=60)
    expected = Refusal("63ca316", "invalid_template")
    assert push(person, "pattern", expected, told.append) is False
    assert told == ["  The case pattern is left out: versions since 63ca316 refuse it (invalid_template)."]
    with pytest.raises(AssertionError):  # refused though no line says so
        push(person, "pattern", None, told.append)
    answers["code"] = "schema_unsupported"
    with pytest.raises(AssertionError):  # refused for another reason
        push(person, "pattern", expected, told.append)
    answers["code"] = ""
    with pytest.raises(AssertionError):  # taken, though a line says that it is refused
        push(person, "pattern", expected, told.append)
    assert push(person, "pattern", None, told.append) is True
