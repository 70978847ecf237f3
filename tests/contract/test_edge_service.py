"""The edge in front of the API itself: the client's own address arrives there, whatever is claimed."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import httpx2
import pytest
import structlog

from environments.api import guard
from environments.api.guard import STRANGERS_EACH
from environments.service.deliveries import LARGEST_DELIVERY
from images.edge.app.configuration import CLIENT_HEADER, SECRET_HEADER
from tests.fakes.service import FakeService, listening, make_service
from tests.support.edge_harness import SECRET, Edge, edge, request, status, until
from tests.support.webhook_payloads import FORGES, payload

BAD = "Authorization: Bearer no-good-token"


@dataclass
class Both:
    """An edge, and the address and the service behind it."""

    edge: Edge
    address: str
    service: FakeService


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    service = make_service(tmp_path / "service")
    (tmp_path / "known").write_text(SECRET)
    try:
        with (
            listening(service, edge_secret=tmp_path / "known") as address,
            edge(tmp_path, urlsplit(address).port or 0) as running,
        ):
            yield Both(running, address, service)
    finally:
        service.database.close()


def test_the_api_answers_at_the_edge(both: Both) -> None:
    token = both.service.tokens.first_token("root", "test")
    answer = both.edge.send(request("/v1/environments", f"Authorization: Bearer {token}"))
    assert status(answer) == 200
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == []
    assert status(both.edge.send(request("/v1/environments"))) == 401


def test_the_log_has_the_clients_own_address(both: Both) -> None:
    with structlog.testing.capture_logs() as lines:
        both.edge.send(request("/v1/environments", BAD), source="127.0.0.77")
        # Forged at the edge, and past it by a neighbour on loopback.
        both.edge.send(request("/v1/environments", BAD, f"{CLIENT_HEADER}: 192.0.2.1"), source="127.0.0.78")
        forged = {CLIENT_HEADER: "192.0.2.2", SECRET_HEADER: "a guess", "X-Forwarded-For": "192.0.2.3"}
        headers = {"Authorization": "Bearer no", **forged}
        httpx2.get(f"{both.address}/v1/environments", headers=headers, timeout=60, trust_env=False)
    clients = [line["client"] for line in lines if line["event"] == "token.refused"]
    assert clients == ["127.0.0.77", "127.0.0.78", "127.0.0.1"]


def test_one_address_does_not_take_the_room_for_unknown_tokens_of_all(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, gate = both.service.tokens.authenticate, Event()

    def slow(token: str, address: str = "") -> object:
        gate.wait(120)
        return honest(token, address)

    monkeypatch.setattr(both.service.tokens, "authenticate", slow)
    limits = httpx2.Limits(max_connections=200)

    def asking(http: httpx2.Client, client: str) -> Callable[[int], int]:
        told = {CLIENT_HEADER: client, SECRET_HEADER: SECRET}

        def ask(number: int) -> int:
            headers = {"Authorization": f"Bearer {client}-{number}", **told}
            return http.get("/v1/environments", headers=headers).status_code

        return ask

    with (
        httpx2.Client(base_url=both.address, timeout=180, trust_env=False, limits=limits) as http,
        ThreadPoolExecutor(STRANGERS_EACH + 30) as pool,
    ):
        try:
            many = [pool.submit(asking(http, "192.0.2.1"), number) for number in range(STRANGERS_EACH + 20)]
            until(lambda: sum(asked.done() for asked in many) == 20, "the rest is refused")
            assert {asked.result() for asked in many if asked.done()} == {429}
            other = pool.submit(asking(http, "192.0.2.2"), 0)
        finally:
            gate.set()
        assert other.result() == 401
        assert sorted(asked.result() for asked in many) == [401] * STRANGERS_EACH + [429] * 20


def test_an_address_guesses_only_so_many_tokens_in_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BAD_TOKENS_EACH_MINUTE", 3)
    (tmp_path / "known").write_text(SECRET)
    service = make_service(tmp_path / "service")
    known, fresh = (service.tokens.first_token("root", "test") for _ in range(2))
    try:
        with (
            listening(service, edge_secret=tmp_path / "known") as address,
            httpx2.Client(base_url=address, timeout=60, trust_env=False) as http,
        ):

            def ask(client: str | None, token: str) -> httpx2.Response:
                told = {CLIENT_HEADER: client, SECRET_HEADER: SECRET} if client else {}
                return http.get("/v1/environments", headers={"Authorization": f"Bearer {token}", **told})

            assert ask("2001:db8::1", known).status_code == 200
            guesses = [ask(f"2001:db8::{number}", f"guess-{number}") for number in range(1, 6)]
            assert [guess.status_code for guess in guesses] == [401] * 3 + [429] * 2
            problem = guesses[-1].json()
            assert "Too many tokens that are not good are shown from one address in a minute" in problem["detail"]
            assert 1 <= int(guesses[-1].headers["Retry-After"]) == problem["details"]["retry_after"] <= 60
            assert ask("2001:db8::1", known).status_code == 200  # what was good before is never kept out
            assert ask("2001:db8::1", fresh).status_code == 429
            assert ask("2001:db8:0:1::1", fresh).status_code == 200
            # Programs on the machine itself share loopback: none of them can keep the others out.
            assert [ask(None, f"local-{number}").status_code for number in range(5)] == [401] * 5
    finally:
        service.database.close()


@pytest.mark.parametrize("forge", FORGES)
def test_deliveries_of_forges_come_through(both: Both, forge: str) -> None:
    """With all the headers of forges, and a body nearly as large as the service takes."""
    secret = both.service.webhooks.create(both.service.admin, forge, forge).secret
    given = payload(forge, "pull_request_opened")
    large = given.changed(padding="x" * (LARGEST_DELIVERY - 64 * 1024))
    for one, wanted in ((given, 202), (given, 200), (large, 200)):
        headers = [f"{name}: {value}" for name, value in one.signed(secret).items()]
        assert status(_delivered(both, forge, headers, one.body)) == wanted
    assert status(_delivered(both, forge, ["Content-Type: application/json"], b"{}", source="127.0.0.79")) == 401
    counted = both.service.webhooks.show(both.service.admin, forge).refused
    assert {(one.reason, one.count, one.last_address) for one in counted} == {
        ("known", 2, "127.0.0.1"),
        ("unsigned", 1, "127.0.0.79"),
    }


def _delivered(both: Both, webhook: str, headers: list[str], body: bytes, source: str = "") -> bytes:
    lines = [*headers, f"Content-Length: {len(body)}"]
    path = f"/v1/webhooks/{webhook}/deliveries"
    return both.edge.send(request(path, *lines, method="POST", body=body), source=source)
