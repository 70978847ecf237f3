"""Signs, times and fields: what the screens are made from, without a screen."""

from datetime import UTC, timedelta
from pathlib import Path
from unicodedata import category
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from environments.domain.errors import InvalidLifetime
from environments.domain.lifecycle import DeploymentState, ResourceStatus, State, StepState
from environments.domain.plan import Action
from environments.moments import coarse, countdown, local_zone, taken
from environments.words import AWAITING, DEGRADED, DEPLOYMENTS, DRIFTED, PLAN_ACTIONS, RESOURCES, STATES, STEPS, clean
from tests.fakes.plans import NOW
from tests.support.views import environment_view
from tui.clock import Clock
from tui.fields import index_of, labels
from tui.rows import fit
from tui.schema import UNSET, FieldProblem, Parameter, parameters, read_lifetime
from tui.table import time_left

CLOCK = Clock(now=lambda: NOW, zone=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("kind", "signs"),
    [(State, STATES), (StepState, STEPS), (DeploymentState, DEPLOYMENTS), (ResourceStatus, RESOURCES)],
)
def test_every_state_has_a_word_of_its_own_and_a_glyph_of_one_cell(kind: type, signs: dict) -> None:  # type: ignore[type-arg]  # four kinds
    assert set(signs) == set(kind)  # type: ignore[call-overload]  # an enum
    assert len({sign.word for sign in signs.values()}) == len(signs)
    assert all(cell_len(sign.glyph) == 1 and sign.glyph.strip() for sign in signs.values())


def test_signs_fit_into_the_table_and_are_explained() -> None:
    signs = [*STATES.values(), DEGRADED, DRIFTED, AWAITING]
    assert all(cell_len(sign.narrow) <= 16 for sign in signs)
    assert all(sign.meaning for sign in signs)


def test_a_plan_has_a_sign_for_each_action() -> None:
    assert set(PLAN_ACTIONS) == set(Action)


@given(st.text())
def test_clean_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    assert not {category(character) for character in clean(text).replace("\n", "")} & {"Cc", "Cs", "Zl", "Zp"}


@given(st.text(alphabet=st.characters(exclude_categories=("Cc", "Cs", "Mn", "Cf")), max_size=50), st.integers(1, 40))
def test_fit_gives_exactly_so_many_cells(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width


@pytest.mark.parametrize(
    ("seconds", "age", "left", "took"),
    [
        (0, "0s", "0s", "0.0s"),
        (9.96, "9s", "9s", "10.0s"),
        (59, "59s", "59s", "59s"),
        (760, "12m", "12m40s", "12m40s"),
        (7500, "2h05m", "2h05m", "2h05m"),
        (100000, "1d3h", "1d3h", "1d3h"),
        (86400 * 400, "400d", "400d", "400d"),
        (-5, "0s", "0s", "0.0s"),
    ],
)
def test_durations(seconds: float, age: str, left: str, took: str) -> None:
    duration = timedelta(seconds=seconds)
    assert (coarse(duration), countdown(duration), taken(duration)) == (age, left, took)


def test_time_left_says_when_it_is_due_and_when_nothing_counts() -> None:
    assert time_left(environment_view(deadline=NOW), NOW)[0] == "! due"
    assert time_left(environment_view(deadline=None), NOW)[0] == "never"
    assert time_left(environment_view(state=State.DESTROYING), NOW)[0] == "now"
    assert time_left(environment_view(state=State.DESTROYED), NOW)[0] == "-"


def test_a_moment_beyond_the_change_of_the_clock_has_the_offset_that_holds_then() -> None:
    here = CLOCK
    assert here.moment(NOW) == "Mon 23 Nov 10:00 CET"
    assert here.moment(NOW + timedelta(days=200)) == "Fri 11 Jun 2027 11:00 CEST"


def test_the_zone_comes_from_tz_then_from_the_machine(tmp_path: Path) -> None:
    (tmp_path / "timezone").write_text("Asia/Tokyo\n")
    assert local_zone({"TZ": ":Europe/Paris"}, tmp_path) == ZoneInfo("Europe/Paris")
    assert local_zone({}, tmp_path) == ZoneInfo("Asia/Tokyo")
    assert local_zone({"TZ": "no/such"}, tmp_path) == ZoneInfo("Asia/Tokyo")
    assert local_zone({}, tmp_path / "nothing") is not None
    assert Clock(now=lambda: NOW, zone=UTC).zone_name() == "UTC"


def _parameter(**schema: object) -> Parameter:
    return next(parameters({"properties": {"x": schema}, "required": [] if "default" in schema else ["x"]}))


@pytest.mark.parametrize(
    ("schema", "typed", "value"),
    [
        ({"type": "integer", "minimum": 1}, " 7 ", 7),
        ({"type": "number"}, "2.5", 2.5),
        ({"type": "number"}, "2", 2),
        ({"type": "string"}, "{{ x }} ${y} \"'", "{{ x }} ${y} \"'"),
        ({"type": "string", "default": "a"}, "", ""),
        ({"type": "boolean"}, False, False),
        ({"enum": [1, "one", None]}, None, None),
        ({"type": "array", "items": {"type": "integer"}}, "[1, 2]", [1, 2]),
        ({"type": "integer", "default": 3}, "", UNSET),
    ],
)
def test_what_is_typed_becomes_a_value_of_the_right_type(
    schema: dict[str, object], typed: object, value: object
) -> None:
    read = _parameter(**schema).read(typed)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("schema", "typed", "said"),
    [
        ({"type": "integer"}, "2.5", "This is not a whole number."),
        ({"type": "integer"}, "", "A value is needed."),
        ({"type": "integer", "minimum": 1}, "0", "1 is the least."),
        ({"type": "number", "maximum": 1}, "nan", None),
        ({"type": "string", "maxLength": 2}, "abc", "2 characters are the most."),
        ({"type": "string", "pattern": "^a"}, "b", "It must match ^a."),
        ({"enum": ["a"]}, UNSET, "A value is needed."),
        ({"type": "array"}, "[1", "This is not a list in JSON: Expecting ',' delimiter: line 1 column 3 (char 2)."),
        ({"type": "string", "writeOnly": True, "not": {"const": "geheim"}}, "geheim", "This isn't accepted."),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(schema: dict[str, object], typed: object, said: str | None) -> None:
    with pytest.raises(FieldProblem) as problem:
        _parameter(**schema).read(typed)
    assert said is None or str(problem.value) == said


def test_a_value_of_several_types_is_shown_as_it_is_typed() -> None:
    either = _parameter(type=["string", "number"], default="1")
    assert either.initial() == '"1"'
    assert either.initial("1.10") == "1.10"
    assert either.read("1.10") == "1.10"
    assert either.read(either.initial()) == "1"
    assert either.is_default("1")
    assert not either.is_default(1)
    assert either.limits == "text, or as JSON writes it"


def test_a_secret_that_is_true_or_false_has_no_value_at_first() -> None:
    flag = _parameter(type="boolean", writeOnly=True)
    assert (flag.kind, flag.choices, flag.initial()) == ("choice", (True, False), UNSET)
    assert flag.read(False) is False
    with pytest.raises(FieldProblem, match="needed"):
        flag.read(UNSET)


def test_choices_of_different_types_are_told_apart() -> None:
    choices = ["1.10", 1.1, True, "true", 1, "1"]
    assert labels(choices) == ["1.10", "1.1", "true", '"true"', "1", '"1"']
    assert [index_of(choices, choice) for choice in choices] == list(range(6))
    assert index_of(choices, UNSET) is None


def test_needed_parameters_come_first() -> None:
    schema = {"properties": {"a": {"type": "string", "default": ""}, "b": {"type": "string"}}, "required": ["b"]}
    assert [parameter.name for parameter in parameters(schema)] == ["b", "a"]


def test_a_lifetime_is_a_duration_or_a_moment() -> None:
    assert read_lifetime("", CLOCK) == (None, None)
    assert read_lifetime(" 2h ", CLOCK) == ("2h", None)
    assert read_lifetime("2026-11-23T18:00", CLOCK) == (None, NOW + timedelta(hours=8))
    with pytest.raises(InvalidLifetime, match="does not exist"):
        read_lifetime("2027-03-28T02:30", CLOCK)
    with pytest.raises(InvalidLifetime, match="not a duration"):
        read_lifetime("a while", CLOCK)
