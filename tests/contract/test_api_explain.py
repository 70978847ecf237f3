"""What the calendar will do to an environment, over the API: when, and because of which rule."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.fakes.service import Served, served


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("explain")) as running:
        yield running


@pytest.fixture
def http(api: Served) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {api.token}"}
    with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=60) as client:
        yield client


def _create(http: httpx2.Client, name: str, **more: object) -> httpx2.Response:
    return http.post("/v1/environments", json={"name": name, "template": "web", **more})


def _moments(http: httpx2.Client, name: str) -> list[dict[str, object]]:
    """All but the warnings."""
    answer = http.get(f"/v1/environments/{name}/explain").raise_for_status().json()
    assert answer["environment"] == name
    return [moment for moment in answer["moments"] if moment["action"] != "warn"]


def test_who_set_a_deadline_is_told(http: httpx2.Client) -> None:
    assert _create(http, "set", ttl="2h").status_code == 202
    (due,) = _moments(http, "set")
    assert due["action"] == "destroy"
    assert due["because"] == {"source": "person", "rule": "", "place": "", "by": "root"}


def test_a_rule_that_comes_first_is_the_deadline(http: httpx2.Client) -> None:
    rule = "0 */1 * * * Europe/Amsterdam"
    made = _create(http, "ruled", ttl="3h", rules=[rule]).raise_for_status().json()["environment"]
    (due,) = _moments(http, "ruled")
    assert due["at"] == made["deadline"]
    assert due["because"] == {"source": "environment", "rule": rule, "place": "", "by": "root"}


def test_an_extension_leaves_out_the_rules_before_it(http: httpx2.Client) -> None:
    _create(http, "longer", ttl="2h", rules=["*/30 * * * *"]).raise_for_status()
    moved = http.post("/v1/environments/longer/extend", json={"ttl": "5h"}).raise_for_status().json()
    (due,) = _moments(http, "longer")
    assert due["at"] == moved["deadline"]
    assert due["because"]["source"] == "person"  # type: ignore[index]


@pytest.mark.parametrize("rule", ["0 19 * *", "0 19 * * 1-5 Europe/Amsterdm", "0 0 31 2 *", "x" * 900])
def test_what_is_no_rule_is_refused(http: httpx2.Client, rule: str) -> None:
    answer = _create(http, "wrong", rules=[rule])
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_lifetime"


def test_rules_of_a_new_environment_say_what_they_do(http: httpx2.Client) -> None:
    rules = ["0 19 * * 5", {"rule": "0 19 * * 1-5", "action": "stop"}, {"rule": "0 8 * * 1-5", "action": "start"}]
    made = _create(http, "hours", ttl="3d", rules=[*rules, rules[1]]).raise_for_status().json()["environment"]
    assert [(rule["action"], rule["rule"]) for rule in made["rules"]] == [
        ("destroy", "0 19 * * 5 UTC"),
        ("stop", "0 19 * * 1-5 UTC"),
        ("start", "0 8 * * 1-5 UTC"),
    ]
    assert made["switch_action"] in ("stop", "start")
    refused = _create(http, "warned", rules=[{"rule": "0 8 * * *", "action": "warn"}])
    assert refused.status_code == 422
    assert "A rule can't warn an environment." in refused.text


def test_too_many_rules_are_refused(http: httpx2.Client) -> None:
    assert _create(http, "many", rules=["0 19 * * *"] * 21).status_code == 422


def test_of_an_environment_that_is_not_there_nothing_is_told(http: httpx2.Client) -> None:
    assert http.get("/v1/environments/nobody/explain").status_code == 404


@pytest.mark.parametrize("count", [0, 101])
def test_how_many_has_bounds(http: httpx2.Client, count: int) -> None:
    assert http.get(f"/v1/environments/nobody/explain?moments={count}").status_code == 422


def test_the_past_is_told_with_who_asked_and_in_pages(http: httpx2.Client) -> None:
    _create(http, "lived", ttl="2h").raise_for_status()
    http.post("/v1/environments/lived/extend", json={"ttl": "3h"}).raise_for_status()
    http.post("/v1/environments/lived/destroy", json={"reason": "not needed"}).raise_for_status()
    address = "/v1/environments/lived/explain"
    past = http.get(address).raise_for_status().json()["past"]
    assert [(one["action"], one["by"]) for one in past] == [("destroy", "root"), ("extend", "root"), ("create", "root")]
    destroy, extend, create = past
    assert (destroy["reason"], destroy["because"], destroy["state"]) == ("not needed", None, "queued")
    assert extend["because"] == {"source": "person", "rule": "", "place": "", "by": "root"}
    older = http.get(address, params={"past": 1, "past_before": extend["id"]}).raise_for_status().json()["past"]
    assert older == [create]
    assert http.get(address, params={"past": 0}).raise_for_status().json()["past"] == []


@pytest.mark.parametrize("query", ["past=101", "past=-1", "past_before=0", "past_before=9223372036854775808"])
def test_the_past_has_bounds(http: httpx2.Client, query: str) -> None:
    assert http.get(f"/v1/environments/nobody/explain?{query}").status_code == 422
