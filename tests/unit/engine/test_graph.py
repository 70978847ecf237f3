"""The order of a dependency graph."""

from graphlib import CycleError

import pytest
from hypothesis import given

from environments.engine.graph import in_order
from tests.support.graphs import graphs


def _first_that_can(needs: dict[str, list[str]]) -> list[str]:
    """The order as it is meant: always the first of those whose needs are met."""
    found: list[str] = []
    while left := [name for name in needs if name not in found]:
        found.append(next(name for name in left if {need for need in needs[name] if need in needs} <= set(found)))
    return found


@given(graphs())
def test_each_comes_after_what_it_needs_and_else_where_it_stands(needs: dict[str, list[str]]) -> None:
    assert in_order(needs) == _first_that_can(needs)


def test_a_cycle_has_no_order() -> None:
    with pytest.raises(CycleError):
        in_order({"one": ["two"], "two": ["one"]})
