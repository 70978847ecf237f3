"""Who may use a webhook, and for which repositories."""

import pytest

from environments.domain.errors import InvalidInput
from environments.domain.webhook_use import (
    MOST_PATTERNS,
    OPEN,
    WebhookUse,
    checked_patterns,
)

ADA = frozenset({"ada", "everyone", "group:shop"})


def why_not(use: WebhookUse, *, admin: bool = False, repository: str = "acme/shop") -> str:
    return use.why_not("forge", "ada", ADA, admin=admin, repository=repository)


@pytest.mark.parametrize("users", [("ada",), ("group:shop",), ("everyone",), ("bob", "ada")])
def test_a_person_a_group_and_everyone_may(users: tuple[str, ...]) -> None:
    assert why_not(WebhookUse(users=users)) == ""


@pytest.mark.parametrize("users", [(), ("bob",), ("group:ada",), ("group:other",), ("shop",)])
def test_others_may_not_and_are_told_who_says_so(users: tuple[str, ...]) -> None:
    assert why_not(WebhookUse(users=users)) == "ada may not use the webhook 'forge', and an admin says who may"
    assert why_not(WebhookUse(users=users), admin=True) == ""


@pytest.mark.parametrize(
    ("pattern", "repository", "covered"),
    [
        ("acme/shop", "acme/shop", True),
        ("acme/shop", "ACME/Shop", True),
        ("Acme/Shop", "acme/shop", True),
        ("acme/shop", "acme/shop2", False),
        ("acme/shop", "acme/shop/web", False),
        ("acme/shop", "other/acme/shop", False),
        ("acme/*", "acme/shop", True),
        ("acme/*", "acme/web/shop", True),
        ("acme/*", "acme2/shop", False),
        ("acme/*", "acme", False),
        ("acme/*", "acme/", False),
        ("acme/*", "acme/../other/docs", False),
        ("acme/*", "acme/./shop", False),
        ("acme/*", "acme//shop", False),
        ("acme/*", "acme/shop/", False),
        ("acme/web/*", "acme/web/shop", True),
        ("acme/web/*", "acme/shop", False),
        ("a.me/*", "acme/shop", False),
        ("acme/shop", "acme/\u017fhop", False),
        ("kin/*", "\u212ain/shop", False),
    ],
)
def test_repositories_are_exact_or_all_of_an_owner(pattern: str, repository: str, covered: bool) -> None:
    use = WebhookUse(users=("ada",), repositories=("x/y", pattern))
    assert use.covers(repository) is covered
    assert (why_not(use, repository=repository) == "") is covered


def test_repositories_limit_admins_too() -> None:
    use = WebhookUse(repositories=("acme/other",))
    told = "The webhook 'forge' isn't for acme/shop, and an admin says for what it is"
    assert why_not(use, admin=True) == told
    assert why_not(use, admin=True, repository="") == ""


def test_what_everybody_may_use_for_everything_is_open() -> None:
    assert OPEN.open
    assert not WebhookUse(users=("everyone",), repositories=("acme/*",)).open
    assert not WebhookUse(users=("group:everyone",)).open
    assert not WebhookUse().open


@pytest.mark.parametrize(
    "text", ["", "*", "acme", "acme/", "/shop", "acme//shop", "*/shop", "acme/sh*", "acme/**", "acme/shop/*/x", "a b/c"]
)
def test_other_patterns_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="names no repository"):
        checked_patterns([text])


def test_patterns_are_kept_once_and_bounded() -> None:
    assert checked_patterns(["acme/shop", " acme/shop ", "acme/web/*"]) == ("acme/shop", "acme/web/*")
    with pytest.raises(InvalidInput, match="at most"):
        checked_patterns(f"acme/{number}" for number in range(MOST_PATTERNS + 1))
    with pytest.raises(InvalidInput):
        checked_patterns(["acme/" + "x" * 300])
