"""A long list of environments, page by page."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from environments.domain.views import CreateRequest
from tests.fakes.service import Served, served

NAMES = [f"page-{number}" for number in range(5)]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


@pytest.fixture
def http(api: Served) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {api.token}"}
    with httpx2.Client(base_url=api.address, headers=headers, trust_env=False) as client:
        for name in NAMES:
            request = CreateRequest(name=name, template="web").model_dump(exclude_none=True)
            assert client.post("/v1/environments", json=request).status_code == 202
        yield client


def names(response: httpx2.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [found["name"] for found in response.json()]


def test_pages_follow_each_other_to_the_end(http: httpx2.Client) -> None:
    newest_first = names(http.get("/v1/environments"))
    assert sorted(newest_first) == NAMES
    seen: list[str] = []
    response = http.get("/v1/environments", params={"limit": 2, "ended": True})
    while True:
        seen += names(response)
        if "next" not in response.links:
            break
        response = http.get(response.links["next"]["url"])
    assert seen == newest_first
    assert len(names(response)) == 1


def test_a_whole_list_names_no_next_page(http: httpx2.Client) -> None:
    assert "link" not in http.get("/v1/environments").headers
    assert "link" not in http.get("/v1/environments", params={"limit": 10}).headers


def test_an_environment_that_nobody_knows_is_no_place_to_go_on_from(http: httpx2.Client) -> None:
    response = http.get("/v1/environments", params={"before": "env-nothing"})
    assert (response.status_code, response.json()["code"]) == (404, "unknown_environment")


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_page_has_between_one_and_a_thousand(http: httpx2.Client, limit: int) -> None:
    assert http.get("/v1/environments", params={"limit": limit}).status_code == 422
