"""Names that are suggested for typing errors: the near ones, in order, and nothing far."""

import time

import pytest

from environments.domain.suggesting import LONGEST, near, suggestion, told

NAMES = ("demo", "demo-2", "web", "stack", "production", "postgres")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("dmeo", ("demo",)),
        ("Demo", ("demo", "demo-2")),
        ("dem", ("demo", "demo-2")),
        ("wbe", ("web",)),
        ("stakc", ("stack",)),
        ("prodution", ("production",)),
        ("postgers", ("postgres",)),
        ("prod", ("production",)),
        ("duct", ("production",)),
        ("xyz", ()),
        ("w", ()),
        ("", ()),
        ("demo" * 40, ()),
    ],
)
def test_what_is_near_is_suggested(typed: str, meant: tuple[str, ...]) -> None:
    assert near(typed, NAMES) == meant


def test_what_was_typed_is_no_suggestion_and_few_are_given() -> None:
    assert near("demo", ("demo",)) == ()
    assert near("case-1", [f"case-{number}" for number in range(2, 9)]) == ("case-2", "case-3", "case-4")


def test_suggestions_are_a_sentence() -> None:
    assert suggestion("dmeo", NAMES) == "Did you mean 'demo'?"
    assert suggestion("dem", NAMES) == "Did you mean 'demo' or 'demo-2'?"
    assert suggestion("case-1", ("case-2", "case-3", "case-4")) == "Did you mean 'case-2', 'case-3' or 'case-4'?"
    assert told("There is no environment 'dmeo'.", "dmeo", NAMES) == (
        "There is no environment 'dmeo'. Did you mean 'demo'?"
    )
    assert told("There is no environment 'xyz'.", "xyz", NAMES) == "There is no environment 'xyz'."


def test_many_long_names_take_little_time() -> None:
    names = [f"{'a' * (LONGEST - 10)}{number:06}" for number in range(2000)]
    began = time.monotonic()
    near("b" * LONGEST, names)
    assert time.monotonic() - began < 20
