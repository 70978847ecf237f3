"""Before a rule of the calendar is set, pages tell when it will fire: while somebody types, and without scripts."""

import pytest

from environments.client import Client
from environments.domain.errors import ServiceUnavailable
from environments.pages.requests import SESSION_COOKIE
from environments.ui.visit import ZONE_COOKIE
from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import Reader, text_of

HERE = "/environments/checkout-fix/rules/add"
EVENING = "0 19 * * 1-5 Europe/Amsterdam"


def test_the_next_moments_are_told_in_the_readers_zone(reader: Reader, client: InProcessClient) -> None:
    in_tokyo = {"Cookie": f"{SESSION_COOKIE}={reader.token}; {ZONE_COOKIE}=Asia/Tokyo"}
    said = reader.post("/rules/check", {"action": "stop", "rule": EVENING}, in_tokyo)
    assert said.status_code == 200
    assert said.text.count("<li>") == 5
    assert said.text.count("JST</time>") == 5
    assert not client.environment("checkout-fix").rules


def test_a_rule_that_is_wrong_is_told_while_it_is_typed(reader: Reader) -> None:
    for rule, told in (("0 19 *", "not a calendar rule"), ("0 0 31 2 *", "ever fires"), ("x" * 2000, "too long")):
        assert told in text_of(reader.post("/rules/check", {"action": "destroy", "rule": rule}))
    assert "there is no time zone" in text_of(reader.post("/rules/check", {"rule": "0 19 * * * Mars/Olympus"}))
    assert text_of(reader.post("/rules/check", {"rule": " "})) == ""


def test_lines_of_a_policy_say_what_they_do(reader: Reader) -> None:
    said = reader.post("/rules/check", {"rules": f"stop {EVENING}\nexplode {EVENING}\n<b>x</b>"})
    assert said.text.count("<li>") == 5
    assert "'explode' is nothing that a rule does" in text_of(said)
    assert "<b>" not in said.text
    page = reader.post("/policies/set", {"scope": "owner", "name": "ada", "rules": f"stop {EVENING}", "look": "yes"})
    assert page.status_code == 200
    assert page.text.count("<time ") == 5
    assert "There are no policies." in text_of(reader.get("/policies"))


def test_without_scripts_a_button_shows_them_and_sets_nothing(reader: Reader, client: InProcessClient) -> None:
    page = reader.post(HERE, {"action": "stop", "rule": EVENING, "look": "yes"})
    assert page.status_code == 200
    assert page.text.count("<time ") == 5
    assert f'value="{EVENING}"' in page.text
    assert not client.environment("checkout-fix").rules
    assert reader.post(HERE, {"action": "stop", "rule": EVENING}).status_code == 303
    assert len(client.environment("checkout-fix").rules) == 1


def test_the_form_of_an_environment_tells_them_beside_the_rules(reader: Reader) -> None:
    said = reader.post(
        "/environments/new/check", {"template": "web", "stop_at": f"{EVENING}\nnonsense", "start_at": "0 7 * * 1-5"}
    )
    assert said.text.count("<li>") == 10
    assert "'nonsense' is not a calendar rule." in text_of(said)
    assert "field" in text_of(said)  # how many need another value


def test_a_service_that_is_away_costs_only_the_moments(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise ServiceUnavailable("The service can't be reached.")

    monkeypatch.setattr(Client, "check_rules", away)
    assert text_of(reader.post("/rules/check", {"rule": EVENING})) == ""
    assert reader.get(f"{HERE}?rule=0+19+*+*+*").status_code == 200
