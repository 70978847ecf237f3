"""The order of a dependency graph, and how it is run."""

from graphlib import CycleError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.engine.graph import in_order, run_graph


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Acyclic, with the nodes in any order; needs may name what is no node."""
    made = [str(number) for number in range(draw(st.integers(0, 8)))]
    before = [*made[:-1], "absent"]
    needs = {name: draw(st.lists(st.sampled_from(before[:number] or ["absent"]))) for number, name in enumerate(made)}
    return {name: needs[name] for name in draw(st.permutations(made))}


def _first_that_can(needs: dict[str, list[str]]) -> list[str]:
    """The order as it is meant: always the first of those whose needs are met."""
    found: list[str] = []
    while left := [name for name in needs if name not in found]:
        found.append(next(name for name in left if {need for need in needs[name] if need in needs} <= set(found)))
    return found


@given(graphs())
def test_each_comes_after_what_it_needs_and_else_where_it_stands(needs: dict[str, list[str]]) -> None:
    assert in_order(needs) == _first_that_can(needs)


@given(graphs(), st.data())
def test_what_is_done_is_no_ones_obstacle(needs: dict[str, list[str]], data: st.DataObject) -> None:
    done = data.draw(st.sets(st.sampled_from(sorted(needs)))) if needs else set()
    ran: list[str] = []
    outcome = run_graph(needs, ran.append, done=done)
    assert (outcome.done, outcome.errors) == (set(needs), {})
    assert sorted(ran) == sorted(set(needs) - done)
    for position, name in enumerate(ran):
        assert {need for need in needs[name] if need in needs} <= done | set(ran[:position])


def test_a_cycle_has_no_order() -> None:
    with pytest.raises(CycleError):
        in_order({"one": ["two"], "two": ["one"]})
