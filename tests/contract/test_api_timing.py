"""Rules, pins, policies and holiday calendars over the API: the answers, and who may."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.fakes.service import Served, served

RULE = "0 19 * * 1-5 Europe/Amsterdam"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("timing")) as running:
        yield running


def _client(api: Served, token: str) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=60)


@pytest.fixture
def http(api: Served) -> Iterator[httpx2.Client]:
    with _client(api, api.token) as client:
        yield client


@pytest.fixture
def ada(api: Served, http: httpx2.Client) -> Iterator[httpx2.Client]:
    made = http.post("/v1/tokens", json={"owner": "ada", "role": "user"}).raise_for_status().json()
    with _client(api, made["secret"]) as client:
        yield client


def _create(http: httpx2.Client, name: str) -> dict[str, Any]:
    asked = {"name": name, "template": "web", "ttl": "13d"}
    made: dict[str, Any] = http.post("/v1/environments", json=asked).raise_for_status().json()["environment"]
    return made


def test_a_rule_is_added_listed_and_removed(http: httpx2.Client) -> None:
    before = _create(http, "ruled")
    after = http.post("/v1/environments/ruled/rules", json={"rule": RULE}).raise_for_status().json()
    assert after["deadline"] < before["deadline"]
    (listed,) = http.get("/v1/environments/ruled/rules").raise_for_status().json()
    assert (listed["rule"], listed["action"], listed["because"]["source"]) == (RULE, "destroy", "environment")
    assert listed["next_moment"] == after["deadline"]
    removed = http.delete("/v1/environments/ruled/rules", params={"rule": RULE}).raise_for_status().json()
    assert removed["deadline"] == before["deadline"]
    assert http.delete("/v1/environments/ruled/rules", params={"rule": RULE}).status_code == 404


@pytest.mark.parametrize("rule", ["", "0 19 * *", "0 19 * * * Europe/Amsterdm", "0 19 * * * UTC except nobody"])
def test_what_is_no_rule_is_refused(http: httpx2.Client, rule: str) -> None:
    if http.get("/v1/environments/wrong").status_code == 404:
        _create(http, "wrong")
    answer = http.post("/v1/environments/wrong/rules", json={"rule": rule})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_lifetime")


def test_a_pin_is_shown_explained_and_removed(http: httpx2.Client) -> None:
    _create(http, "pinned")
    http.post("/v1/environments/pinned/rules", json={"rule": "*/10 * * * *"}).raise_for_status()
    request = {"reason": "a demonstration", "ttl": "2d"}
    pinned = http.put("/v1/environments/pinned/pin", json=request).raise_for_status().json()
    assert (pinned["pin"]["by"], pinned["pin"]["reason"]) == ("root", "a demonstration")
    told = http.get("/v1/environments/pinned/explain?why_not=true").raise_for_status().json()
    assert told["pin"] == pinned["pin"]
    assert told["left_out"][0]["prevented"]["obstacle"] == "pin"
    assert told["zone_database"]
    assert http.delete("/v1/environments/pinned/pin").raise_for_status().json()["deadline"] is not None
    assert http.put("/v1/environments/pinned/pin", json={"reason": "", "ttl": "2d"}).status_code == 422
    assert http.put("/v1/environments/pinned/pin", json={"reason": "x"}).status_code == 422


def test_a_user_pins_an_own_environment_but_not_past_its_maximum(ada: httpx2.Client) -> None:
    _create(ada, "hers")
    request = {"reason": "a demonstration", "ttl": "20d"}
    assert ada.put("/v1/environments/hers/pin", json=request).json()["code"] == "invalid_lifetime"
    assert ada.put("/v1/environments/hers/pin", json={**request, "past_maximum": True}).status_code == 403
    assert ada.put("/v1/environments/hers/pin", json={**request, "ttl": "1d"}).status_code == 200


def test_a_policy_is_previewed_set_listed_and_removed(http: httpx2.Client, ada: httpx2.Client) -> None:
    made = _create(ada, "governed")
    policy = {"rules": [{"rule": RULE}], "maximum": "10d"}
    path = "/v1/policies/owner/ada"
    would = http.put(f"{path}?dry_run=true", json=policy).raise_for_status().json()
    assert (would["applied"], would["moved"] >= 1) == (False, True)
    assert http.get("/v1/policies").raise_for_status().json() == []
    done = http.put(path, json=policy).raise_for_status().json()
    assert (done["applied"], done["policy"]["maximum"], done["policy"]["set_by"]) == (True, "10d", "root")
    assert ada.get("/v1/policies").raise_for_status().json() == [done["policy"]]
    after = ada.get("/v1/environments/governed").raise_for_status().json()
    assert after["deadline"] < made["deadline"]
    assert after["deadline_because"]["source"] == "owner_policy"
    assert ada.put(path, json=policy).status_code == 403
    assert ada.delete(path).status_code == 403
    http.delete(path).raise_for_status()
    assert http.delete(path).status_code == 404
    assert ada.get("/v1/environments/governed").json()["deadline"] == made["deadline"]


def test_a_holiday_calendar_is_set_shown_and_removed(http: httpx2.Client, ada: httpx2.Client) -> None:
    days = {"days": [{"day": "2027-12-25", "title": "Christmas"}, {"day": "2027-04-27"}]}
    assert ada.put("/v1/calendars/nl", json=days).status_code == 403
    done = http.put("/v1/calendars/nl", json=days).raise_for_status().json()
    assert [holiday["day"] for holiday in done["calendar"]["days"]] == ["2027-04-27", "2027-12-25"]
    assert ada.get("/v1/calendars/nl").raise_for_status().json() == done["calendar"]
    assert [one["name"] for one in ada.get("/v1/calendars").raise_for_status().json()] == ["nl"]
    _create(ada, "resting")
    rule = "0 19 * * * UTC except nl"
    ada.post("/v1/environments/resting/rules", json={"rule": rule}).raise_for_status()
    refused = http.delete("/v1/calendars/nl")
    assert (refused.status_code, "environment resting" in refused.json()["detail"]) == (409, True)
    ada.delete("/v1/environments/resting/rules", params={"rule": rule}).raise_for_status()
    http.delete("/v1/calendars/nl").raise_for_status()
    assert http.get("/v1/calendars/nl").status_code == 404
    assert http.put("/v1/calendars/N_L", json=days).status_code == 422
    assert http.put("/v1/calendars/nl", json={"days": []}).status_code == 422
