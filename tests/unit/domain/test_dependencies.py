"""What needs what, directly or through others."""

from environments.domain.dependencies import ancestors

NEEDS = {"a": (), "b": ("a",), "c": ("b", "a"), "d": ("c",), "circle": ("round",), "round": ("circle",)}


def test_all_that_a_node_needs_counts_however_far_away() -> None:
    assert ancestors(NEEDS, "a") == set()
    assert ancestors(NEEDS, "d") == {"a", "b", "c"}


def test_a_circle_ends() -> None:
    assert ancestors(NEEDS, "circle") == {"circle", "round"}


def test_what_nobody_knows_needs_nothing() -> None:
    assert ancestors({"a": ("b",)}, "a") == {"b"}
    assert ancestors({}, "a") == set()
