"""User names of people who sign in for the first time."""

from collections.abc import Collection

import pytest

from environments.domain.access import USER_NAME
from environments.domain.errors import InvalidName
from environments.service.user_names import RESERVED, check_user_name, user_name


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (["ada"], "ada"),
        (["Ada.Lovelace"], "ada.lovelace"),
        (["ada@example.net"], "ada"),
        (["", "Ada Lovelace"], "ada-lovelace"),
        (["Zoë Müller"], "zoe-muller"),
        (["\u0430da"], "da"),
        (["..", "--", "管理"], "person"),
        (["x" * 200], "x" * 40),
        (["-ada-"], "ada"),
        (["ada..l--b"], "ada.l-b"),
        (["svc-shop"], "person-svc-shop"),
        (["SVC--shop"], "person-svc-shop"),
        (["env-qzwdg2zx7swt"], "person-env-qzwdg2zx7swt"),
    ],
)
def test_a_name_is_made_of_what_claims_say(said: list[str], name: str) -> None:
    found = user_name(said, lambda names: [])
    assert found == name
    assert USER_NAME.fullmatch(found)


def test_a_taken_name_gets_a_number_whatever_its_capitals() -> None:
    def somebody_has(names: Collection[str]) -> list[str]:
        return [name for name in names if name in ("ada", "Ada-2", "ada-3")]

    assert user_name(["ada"], somebody_has) == "ada-4"


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_nobody_is_called_like_a_part_of_the_service(name: str) -> None:
    assert user_name([name], lambda names: []) == f"{name}-2"


@pytest.mark.parametrize(
    "name", [*sorted(RESERVED), "svc-ada", "tok-deployer", "ada-", "a..b", "a.-b", "", "Ada", "x" * 64]
)
def test_a_name_that_no_new_person_may_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        check_user_name(name)


@pytest.mark.parametrize("name", ["root", "ada", "ada.b_c-2", "environment-ada", "svca"])
def test_other_names_are_good(name: str) -> None:
    check_user_name(name)


def test_names_are_found_beyond_the_first_fifty() -> None:
    used = {"ada", *(f"ada-{number}" for number in range(2, 120))}
    assert user_name(["ada"], lambda names: [name for name in names if name in used]) == "ada-120"
