"""Filtered and sorted lists of environments over HTTP: pages by their links, counts, and who sees what."""

from collections.abc import Iterator

import httpx2
import pytest

from environments.client import Filters
from environments.domain.errors import InvalidInput
from environments.wire.environments import CreateRequest
from environments.wire.tokens import TokenRequest
from tests.fakes.service import Served, served

MINE, THEIRS = ("cart", "desk", "echo"), ("fern", "gate")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("overview")) as running:
        with running.client() as client:
            grace = client.create_token(TokenRequest(owner="grace")).secret
            for name in MINE:
                client.create(CreateRequest(name=name, template="web"))
        with running.client(grace) as client:
            for name in THEIRS:
                client.create(CreateRequest(name=name, template="web"))
        yield running


@pytest.fixture
def http(api: Served) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {api.token}"}
    with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=30) as made:
        yield made


def test_pages_of_a_sorted_list_follow_their_links(http: httpx2.Client) -> None:
    found, path = [], "/v1/environments?sort=-name&limit=2"
    while path:
        answer = http.get(path)
        assert answer.status_code == 200, answer.text
        found += [one["name"] for one in answer.json()]
        path = answer.links.get("next", {}).get("url", "")
        assert not path or "sort=-name" in path
    assert found == sorted((*MINE, *THEIRS), reverse=True)


def test_lists_and_counts_have_what_one_sees_and_no_more(api: Served) -> None:
    with api.client() as admin:
        grace = admin.create_token(TokenRequest(owner="grace")).secret
        assert sum(admin.overview(Filters()).states.values()) == len(MINE) + len(THEIRS)
        assert sum(admin.overview(Filters(whose="mine")).states.values()) == len(MINE)
        ids = ",".join(one.id for one in admin.environments())
    with api.client(grace) as client:
        for filters in (Filters(), Filters(ids=ids), Filters(whose="mine"), Filters(template="web", ended=True)):
            page, _ = client.environments_page(filters, sort="name")
            assert tuple(one.name for one in page) == THEIRS
            assert sum(client.overview(filters).states.values()) == len(THEIRS)
        assert client.environments_page(Filters(owner="nobody")) == ([], None)


@pytest.mark.parametrize(
    "query",
    [
        "sort=owner",
        "state=redy",
        "after=x",
        "sort=name&after=WyJjcmVhdGVkIiwgbnVsbCwgImEiXQ",
        "ends_before=2026-01-01",
        "ends_before=2026-01-01T00:00:00",
        "ends_before=9999-12-31T23:59:59-14:00",
        "sort=name&before=env-1",
        "q=x&before=env-1",
        f"ids={','.join(map(str, range(201)))}",
        f"q={'x' * 201}",
        "attention=perhaps",
    ],
)
def test_what_does_not_fit_is_refused(http: httpx2.Client, query: str) -> None:
    answer = http.get(f"/v1/environments?{query}")
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["code"] == InvalidInput.code


def test_parameters_that_narrow_nothing_change_no_page(http: httpx2.Client) -> None:
    (first,) = http.get("/v1/environments?limit=1").json()
    rest = http.get("/v1/environments", params={"before": first["id"]}).json()
    answer = http.get("/v1/environments", params={"before": first["id"], "state": "", "q": "", "attention": "false"})
    assert answer.status_code == 200, answer.text
    assert answer.json() == rest
    assert len(rest) == len(MINE) + len(THEIRS) - 1
