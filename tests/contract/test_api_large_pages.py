"""A page ends for its bytes as well: what people have stored makes no answer large, and is still read as a whole."""

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from environments.domain.access import Person, PersonKind
from environments.domain.lifecycle import State
from environments.service import pages
from environments.wire.environments import CreateRequest
from environments.wire.people import GroupRequest
from environments.wire.service_accounts import ServiceAccountRequest
from environments.wire.tokens import TokenRequest
from tests.contract.test_api_pages import LISTS, fill, limited
from tests.fakes.listener import Listener, connected
from tests.fakes.service import Served, served

SMALL = 100
"""Bytes of a page in these tests: some entries of a list, not all of them."""

LARGE = "x" * 250_000
"""What an older version has stored as a note, and what parameters may be."""

MANY = 60


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("large")) as running:
        fill(running)
        yield running


@pytest.fixture
def http(api: Served) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {api.token}"}
    with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=60) as made:
        yield made


def pages_of(http: httpx2.Client, path: str) -> Iterator[list[Any]]:
    """Each page, by the addresses in the answers."""
    address: str | None = limited(path, 1000)
    while address is not None:
        answer = http.get(address)
        assert answer.status_code == 200
        yield answer.json()
        address = answer.links.get("next", {}).get("url")


@pytest.mark.parametrize("path", LISTS)
def test_every_list_ends_for_its_bytes(http: httpx2.Client, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = pages_of(http, path)
    monkeypatch.setattr(pages, "LARGEST_BYTES", SMALL)
    found: list[Any] = []
    number = 0
    for page in pages_of(http, path):
        assert 0 < len(page) < len(whole)
        found += page
        number += 1
    assert number > 1
    assert found == whole


@pytest.mark.parametrize("path", [path for path in LISTS if not path.endswith("events")])
def test_the_client_reads_a_list_that_ends_early(api: Served, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with api.client() as client:
        whole = LISTS[path](client)
        monkeypatch.setattr(pages, "LARGEST_BYTES", 1)
        assert LISTS[path](client) == whole
        if path == "/v1/environments":
            assert client.environments(limit=3) == whole[:3]


def test_who_sees_only_what_is_theirs_gets_it_in_pages_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path) as api:
        with api.service.database.write() as tx:
            identity = {"issuer": "https://id.example.net", "subject": "1"}
            tx.people.add(Person(name="ada", kind=PersonKind.PERSON, created_at=api.service.clock(), **identity))
        with api.client() as client:
            secret = client.create_token(TokenRequest(owner="ada")).secret
            for number in range(3):
                client.create_group(GroupRequest(name=f"group-{number}"))
                client.add_member(f"group-{number}", "ada")
                client.create_group(GroupRequest(name=f"group-{number}-of-others"))
                client.create_service_account(ServiceAccountRequest(name=f"svc-{number}", responsible="ada"))
                client.create_service_account(ServiceAccountRequest(name=f"svc-{number}-of-others"))
        monkeypatch.setattr(pages, "LARGEST_BYTES", 1)
        headers = {"Authorization": f"Bearer {secret}"}
        with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=60) as http:
            for path, kind in (("/v1/groups", "group"), ("/v1/service-accounts", "svc")):
                names = [[one["name"] for one in page] for page in pages_of(http, path)]
                assert names == [[f"{kind}-{number}"] for number in range(3)]


def test_a_reader_that_is_behind_loses_nothing(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LARGEST_BYTES", 1)
    with api.client() as client:
        client.create(CreateRequest(name="spoken", template="web"))
        lines = [str(number) for number in range(40)]
        api.service.log("spoken", *lines)
        listener = Listener(client.events(0, "spoken"))
        listener.until(connected)
        listener.until(lambda seen: len(seen.messages) == len(lines))
        assert listener.messages == lines
        listener.close()
        seen: list[str] = []
        last = 0
        environment = client.environment("spoken").id
        while page := client.history(environment, after=last):
            seen += [event.message for event in page if event.message in lines]
            last = page[-1].id
        assert seen == lines


def test_what_was_stored_makes_no_page_large(tmp_path: Path) -> None:
    with served(tmp_path) as api:
        with api.client() as client:
            for number in range(MANY):
                client.create_token(TokenRequest(owner=f"ada-{number % 7}"))
                client.create(CreateRequest(name=f"one-{number}", template="web"))
        api.service.move("one-0", State.DEPLOYING)
        with sqlite3.connect(tmp_path / "calvinverse.sqlite", timeout=30) as database:
            database.execute("UPDATE tokens SET note = ?", (LARGE,))
            database.execute("UPDATE environments SET parameters = ?", (json.dumps({"message": LARGE}),))
        database.close()
        headers = {"Authorization": f"Bearer {api.token}"}
        with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=60) as http:
            for path in ("/v1/tokens", "/v1/environments"):
                for answer in ThreadPoolExecutor(4).map(http.get, [f"{path}?limit=1000"] * 8):
                    assert answer.status_code == 200
                    assert len(answer.content) < pages.LARGEST_BYTES + 2 * len(LARGE)
                ids = [each["id"] for page in pages_of(http, path) for each in page]
                assert len(ids) == len(set(ids)) >= MANY
