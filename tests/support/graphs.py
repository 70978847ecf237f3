"""Dependency graphs for property tests."""

from hypothesis import strategies as st


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Acyclic, with the nodes in any order; needs may name what is no node."""
    made = [str(number) for number in range(draw(st.integers(0, 8)))]
    before = [*made[:-1], "absent"]
    needs = {name: draw(st.lists(st.sampled_from(before[:number] or ["absent"]))) for number, name in enumerate(made)}
    return {name: needs[name] for name in draw(st.permutations(made))}
