"""How a dependency graph is run, each node in a thread."""

from hypothesis import given
from hypothesis import strategies as st

from environments.engine.graph import run_graph
from tests.support.graphs import graphs


@given(graphs(), st.data())
def test_what_is_done_is_no_ones_obstacle(needs: dict[str, list[str]], data: st.DataObject) -> None:
    done = data.draw(st.sets(st.sampled_from(sorted(needs)))) if needs else set()
    ran: list[str] = []
    outcome = run_graph(needs, ran.append, done=done)
    assert (outcome.done, outcome.errors) == (set(needs), {})
    assert sorted(ran) == sorted(set(needs) - done)
    for position, name in enumerate(ran):
        assert {need for need in needs[name] if need in needs} <= done | set(ran[:position])
