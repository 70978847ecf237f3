"""The web page and the TUI offer the same actions, by the same registry; where they don't, it is said why."""

import pytest

from environments.actions.registry import ACTIONS, action
from environments.ui.app import PAGES
from environments.ui.offers import NOT_OFFERED, OFFERED

IN_TUI = {one.id for one in ACTIONS if one.places or one.keys}


def test_what_the_terminal_ui_offers_the_page_offers_too_or_says_why_not() -> None:
    assert IN_TUI - set(OFFERED) - set(NOT_OFFERED) == set()


def test_nothing_is_both_offered_and_not() -> None:
    assert set(OFFERED) & set(NOT_OFFERED) == set()


def test_only_what_the_terminal_ui_offers_needs_a_reason() -> None:
    assert set(NOT_OFFERED) <= IN_TUI
    assert all(reason.endswith(".") for reason in NOT_OFFERED.values())


@pytest.mark.parametrize("id", sorted(OFFERED))
def test_each_action_is_one_of_the_registry_and_has_a_page(id: str) -> None:
    assert action(id).id == id
    assert OFFERED[id] in {path for _, path, _ in PAGES}
