"""The picture of a deployment's steps."""

from environments.domain.lifecycle import StepState
from environments.ui.step_graph import MOST, WIDTH, graph
from environments.wire.deployments import StepView


def _step(name: str, *needs: str) -> StepView:
    return StepView(name=name, uses="nomad.job", needs=needs, state=StepState.DONE)


def test_each_step_is_right_of_all_that_it_needs() -> None:
    steps = [_step("d", "b", "c"), _step("a"), _step("b", "a"), _step("c", "a", "e"), _step("e", "b")]
    found = graph(steps)
    assert found is not None
    places = {node.name: node for node in found.nodes}
    for step in steps:
        assert all(places[need].x + WIDTH < places[step.name].x for need in step.needs)
    assert len({(node.x, node.y) for node in found.nodes}) == len(steps)
    assert len(found.edges) == 6
    assert all(node.x + WIDTH <= found.width and node.y < found.height for node in found.nodes)
    assert "c (done) after a, e" in found.told


def test_there_is_no_picture_where_it_would_say_nothing() -> None:
    assert graph([]) is None
    assert graph([_step("a"), _step("b")]) is None
    assert graph([_step("a"), *(_step(f"b{n}", "a") for n in range(MOST))]) is None


def test_what_no_template_may_have_ends_too() -> None:
    found = graph([_step("a", "b"), _step("b", "a"), _step("c", "gone")])
    assert found is not None
    assert len(found.nodes) == 3


def test_a_long_name_is_cut_in_its_box_only() -> None:
    found = graph([_step("a" * 60), _step("b", "a" * 60)])
    assert found is not None
    assert found.nodes[0].label == "a" * 18 + "…"
    assert "a" * 60 in found.told
