"""Names of previews are legal, and no two pull requests get the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from environments.domain.names import check_environment_name
from environments.domain.preview_names import environment_name
from tests.support.hostile_texts import HOSTILE

REPOSITORIES = st.one_of(
    st.text(max_size=80),
    st.from_regex(r"[a-zA-Z0-9._-]{1,30}/[a-zA-Z0-9._-]{1,50}", fullmatch=True),
    st.sampled_from(HOSTILE),
)
NUMBERS = st.integers(min_value=-5, max_value=10**25)


@pytest.mark.parametrize(
    ("repository", "number", "name"),
    [
        ("acme/shop", 12, "acme-shop-pr-12"),
        ("Acme/Shop", 12, "acme-shop-pr-12"),
        ("acme/shop-pr-1", 2, "acme-shop-pr-1-pr-2"),
        ("my-org/shop", 3, "my-org-shop-pr-3-hj8wtcnq"),
    ],
)
def test_a_name_tells_the_repository_and_the_number(repository: str, number: int, name: str) -> None:
    found = environment_name("", repository, number)

    assert found[:-7] == name[:-7] if "-h" in name else found == name


@given(REPOSITORIES, NUMBERS, st.sampled_from(["", "meta", "{{ event.number }}", "env-{{event.number}}", "x-" * 30]))
def test_every_name_is_legal(repository: str, number: int, pattern: str) -> None:
    check_environment_name(environment_name(pattern, repository, number))


@settings(max_examples=300)
@given(st.tuples(REPOSITORIES, NUMBERS), st.tuples(REPOSITORIES, NUMBERS))
def test_two_pull_requests_never_get_the_same_name(one: tuple[str, int], other: tuple[str, int]) -> None:
    same = (one[0].lower(), max(one[1], 0)) == (other[0].lower(), max(other[1], 0))

    assert (environment_name("", *one) == environment_name("", *other)) == same


def test_names_of_a_hostile_corpus_are_all_different() -> None:
    pairs = {(text.lower(), number) for text in HOSTILE for number in (1, 12, 112)}

    assert len({environment_name("", *pair) for pair in pairs}) == len(pairs)


def test_owners_and_repositories_with_hyphens_are_kept_apart() -> None:
    assert environment_name("", "a-b/c", 1) != environment_name("", "a/b-c", 1)


def test_a_pattern_without_the_number_gets_it() -> None:
    assert environment_name("shop", "acme/shop", 7) == "shop-7"
    assert environment_name("shop", "acme/shop", 7) != environment_name("shop", "acme/shop", 8)


def test_a_reserved_name_is_not_used() -> None:
    assert environment_name("env-{{ event.number }}", "a/b", 234567892345) != "env-234567892345"
