"""The page of trust promises nothing that no test proves."""

from pathlib import Path

import pytest

from tests.support.promises import CHECKOUT, PAGE, Promise, fault, promises

WRITTEN = promises(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("promise", WRITTEN, ids=lambda promise: f"{promise.section}: {promise.text[:60]}")
def test_every_promise_names_tests_that_are_there(promise: Promise) -> None:
    assert promise.tests, f"no test proves: {promise.text}"
    assert [why for test in promise.tests if (why := fault(test))] == []


def test_the_page_is_read_as_a_whole() -> None:
    """Each section but the last promises something, so a change of its form can't hide its promises."""
    sections = [line.removeprefix("## ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:3] == "## "]
    assert sections[-1] == "What is not protected"
    assert [name for name in sections[:-1] if not any(promise.section == name for promise in WRITTEN)] == []
    assert len(WRITTEN) > 40


def test_the_page_says_what_the_shared_network_gives_away() -> None:
    """Some jobs share the node's network: text and table say what they get by taking the port of the service."""
    page = PAGE.read_text(encoding="utf-8")
    unprotected = " ".join(page.partition("## What is not protected")[2].split())
    assert (
        "A service that `calvinverse serve` runs on loopback without a certificate. It speaks plain HTTP: a program "
        "that takes its port while it is down is taken for it, and gets the tokens of people." in unprotected
    )
    (row,) = [
        line
        for line in page.splitlines()
        if line.startswith("| code in a job with the network of its node, while the service")
    ]
    assert "no token" in row


def test_promises_are_found_in_bullets_and_tables_and_nowhere_else() -> None:
    page = """# Trust
Prose promises nothing.

## First

| Who | Held back by |
| --- | --- |
| you | a rule <!-- test: tests/unit/test_a.py::test_b, tests/unit/test_a.py::test_c --> |
| me | everything <!-- no promise --> |
| them | nobody knows |

- One
  of two lines.
  <!-- test: tests/unit/test_a.py::test_d -->
- Two, without.

1. Three. <!-- no promise -->

## What is not protected

- All that.
"""
    assert [(found.text, found.tests) for found in promises(page)] == [
        ("| you | a rule |", ("tests/unit/test_a.py::test_b", "tests/unit/test_a.py::test_c")),
        ("| them | nobody knows |", ()),
        ("- One of two lines.", ("tests/unit/test_a.py::test_d",)),
        ("- Two, without.", ()),
        ("1. Three.", ()),
    ]


def test_a_test_that_is_not_there_or_not_expected_to_pass_proves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "unit"
    folder.mkdir(parents=True)
    (folder / "test_a.py").write_text(
        "import pytest\n\ndef test_b(): ...\n\ndef helper(): ...\n\nclass TestC:\n    def test_d(self): ...\n\n"
        "@pytest.mark.parametrize('x', [1])\n@pytest.mark.xfail\ndef test_e(x): ...\n"
    )
    (folder / "other.py").write_text("def test_b(): ...\n")

    def good(test: str) -> bool:
        return not fault(test, tmp_path)

    assert good("tests/unit/test_a.py::test_b")
    assert good("tests/unit/test_a.py::TestC::test_d")
    assert good("tests/unit/test_a.py::test_b[one]")
    for wrong in ("test_e", "helper", "test_d", "test_f", ""):
        assert not good(f"tests/unit/test_a.py::{wrong}"), wrong
    for wrong in ("tests/unit/other.py", "tests/unit/test_none.py", "unit/test_a.py", str(CHECKOUT / "dodo.py")):
        assert not good(f"{wrong}::test_b"), wrong
