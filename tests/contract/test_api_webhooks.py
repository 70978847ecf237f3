"""Webhooks over the API: what is signed is taken once, and what isn't changes nothing, tells nothing and is counted."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
import pytest
from starlette.routing import Match

from environments.api.app import create_app
from environments.api.routes import webhooks as routes
from environments.domain.errors import BackendUnavailable, Forbidden, InvalidInput, NameTaken
from environments.providers.channels.signing import signature_headers
from environments.service import deliveries
from environments.service.authorization import Principal
from tests.fakes.clock import SetClock
from tests.fakes.service import FakeService
from tests.support.in_process.service import start_api, start_service
from tests.support.webhook_payloads import payload, signatures

ADDRESS = "http://127.0.0.1:8400"
MEMBER = Principal("ada", "user", "tok-ada")
UNSIGNED = 401


@dataclass
class World:
    """A service, its API, and the secrets of its webhooks."""

    service: FakeService
    http: httpx2.Client
    clock: SetClock
    secrets: dict[str, str]

    def deliver(self, name: str, body: bytes, headers: dict[str, str]) -> httpx2.Response:
        return self.http.post(f"/v1/webhooks/{quote(name, safe='')}/deliveries", content=body, headers=headers)

    def send(self, forge: str = "github", what: str = "pull_request_opened", **headers: str) -> httpx2.Response:
        given = payload(forge, what)
        return self.deliver(forge, given.body, given.signed(self.secrets[forge]) | headers)

    def signed(self, body: bytes, forge: str = "github", **headers: str) -> httpx2.Response:
        """A body that the forge has signed."""
        known = payload(forge, "pull_request_opened").headers
        return self.deliver(forge, body, known | signatures(forge, self.secrets[forge], body) | headers)

    def events(self) -> list[Any]:
        with self.service.database.read() as tx:
            return list(tx.received.all())

    def refused(self, name: str) -> dict[str, int]:
        found = self.service.webhooks.show(self.service.admin, name).refused
        return {one.reason: one.count for one in found}


@pytest.fixture
def world() -> Iterator[World]:
    with ExitStack() as ending:
        clock = SetClock()
        service = start_service(clock, ending)
        transport = start_api(service, ending)
        http = ending.enter_context(httpx2.Client(base_url=ADDRESS, transport=transport, timeout=60))
        clock.now = clock.now.replace(year=2026, month=11, day=20)
        secrets = {
            kind: service.webhooks.create(service.admin, kind, kind).secret
            for kind in ("github", "gitlab", "gitea", "forgejo", "generic")
        }
        yield World(service, http, clock, secrets)


def test_a_delivery_becomes_an_event_once(world: World) -> None:
    first = world.send()
    assert (first.status_code, list(first.json())) == (202, ["event"])
    again = world.send()
    assert (again.status_code, again.json()) == (200, first.json())
    (event,) = world.events()
    assert (event.id, event.origin, event.subject) == (first.json()["event"], "github", "ada/shop#7")
    assert world.refused("github") == {"known": 1}
    (shown,) = [one for one in world.service.webhooks.list(world.service.admin) if one.name == "github"]
    assert shown.last_at == world.clock.now


@pytest.mark.parametrize("what", ["ping", "comment"])
def test_what_nothing_is_done_with_is_left_and_counted(world: World, what: str) -> None:
    answer = world.send(what=what)
    assert answer.status_code == 200
    assert list(answer.json()) == ["ignored"]
    assert world.events() == []
    assert sum(world.refused("github").values()) == 1


def test_what_is_not_signed_is_refused_whoever_it_is_for(world: World) -> None:
    given = payload("github", "pull_request_opened")
    wrong = given.signed("another secret")
    answers = [
        world.deliver("github", given.body, given.headers),
        world.deliver("github", given.body, wrong),
        world.deliver("github", given.body + b" ", given.signed(world.secrets["github"])),
        world.deliver("gitea", given.body, given.signed(world.secrets["github"])),
        world.deliver("nobody", given.body, given.signed(world.secrets["github"])),
        world.deliver("x" * 5000, given.body, wrong),
    ]
    assert {one.status_code for one in answers} == {UNSIGNED}
    assert len({one.text for one in answers}) == 1, "the answer tells which webhooks there are"
    assert world.events() == []
    assert world.refused("github") == {"unsigned": 1, "wrong_signature": 2}
    assert [(one.reason, one.count) for one in world.service.webhooks.refused_for_nobody(world.service.admin)] == [
        ("unknown_name", 2)
    ]


def test_the_time_of_a_refusal_tells_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("environments.api.routes.webhooks.sleep", sleep)
    given = payload("github", "pull_request_opened")
    for name in ("github", "nobody"):
        assert world.deliver(name, given.body, given.headers).status_code == UNSIGNED
    assert len(waited) == 2
    assert all(0 <= one <= routes.REFUSED_AFTER for one in waited)


def test_without_a_token_nothing_else_is_answered(world: World) -> None:
    for method, path in (
        ("GET", "/v1/webhooks"),
        ("GET", "/v1/webhooks/github"),
        ("GET", "/v1/webhooks/github/deliveries"),
        ("PUT", "/v1/webhooks/github/deliveries"),
        ("POST", "/v1/webhooks/github/rotate"),
        ("POST", "/v1/webhooks/a/b/deliveries"),
        ("POST", "/v1/webhooks/github/deliveries/"),
    ):
        assert world.http.request(method, path).status_code == 401, path


HOSTILE = {
    "empty": b"",
    "text": b"hello",
    "not utf-8": b'{"a": "\xff"}',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "a list": b"[]",
    "a number": b"1",
    "nan": b'{"a": NaN}',
    "a key twice": b'{"action": "opened", "action": "closed"}',
    "deep": b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}",
    "very deep": b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "many values": b'{"a": [' + b"1," * 400_000 + b"1]}",
    "half a character": b'{"a": "\\ud800"}',
    "a large number": b'{"a": ' + b"9" * 5000 + b"}",
    "nul": b'{"a": "\x00"}',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_body_that_nobody_should_send_is_refused_in_words(world: World, body: bytes) -> None:
    answer = world.signed(body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "delivery_unreadable"
    assert world.events() == []
    assert world.refused("github") == {"delivery_unreadable": 1}
    assert world.deliver("github", body, payload("github", "ping").headers).status_code == UNSIGNED, "unread"


@pytest.mark.parametrize("body", [b'{"action": "opened"}', b'{"pull_request": []}', b'{"number": 7, "a": "b"}'])
def test_an_object_that_says_too_little_is_left(world: World, body: bytes) -> None:
    answer = world.signed(body)
    assert answer.status_code == 200
    assert "ignored" in answer.json()


def test_a_huge_delivery_is_refused_and_counted(world: World) -> None:
    world.send(what="ping")
    body = b'{"a": "' + b"x" * deliveries.LARGEST_DELIVERY + b'"}'
    assert world.signed(body).status_code == 413
    assert world.deliver("nobody", body, {}).status_code == 413
    assert world.refused("github") == {"ping": 1, "request_too_large": 1}
    assert world.signed(b'{"a": "' + b"x" * (deliveries.LARGEST_DELIVERY - 100) + b'"}').status_code == 200


def test_github_may_send_a_form_and_nobody_else(world: World) -> None:
    given = payload("github", "pull_request_opened")
    form = urlencode({"payload": given.body.decode()}).encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    taken = world.signed(form, **kind)
    assert taken.status_code == 202
    assert world.events()[0].subject == "ada/shop#7"
    for wrong in (b"payload", b"a=b", b"payload=%7B%7D&payload=%7B%7D", b"&" * 1000, b"payload=%ff"):
        assert world.signed(wrong, **kind).status_code == 400
    assert world.signed(form, "gitea", **kind).status_code == 415


@pytest.mark.parametrize("kind", ["", "text/plain", "application/xml", "multipart/form-data; boundary=x"])
def test_another_content_type_is_refused(world: World, kind: str) -> None:
    answer = world.send(**{"Content-Type": kind})
    assert answer.status_code == 415
    assert world.refused("github") == {"not_json": 1}


@pytest.mark.parametrize("id", ["", "x" * 5000, "a#1", "a b\tc"])
def test_an_id_that_is_none_is_replaced_by_a_digest(world: World, id: str) -> None:
    first, again = (world.send(**{"X-GitHub-Delivery": id}) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json() == again.json()
    (event,) = world.events()
    assert len(event.delivery) <= 120


def test_a_program_signs_id_timestamp_and_body(world: World) -> None:
    body = json.dumps({"job": "nightly", "ok": True, "count": 3, "more": {"a": 1}, "none": None}).encode()

    def send(at: int) -> httpx2.Response:
        headers = signature_headers(world.secrets["generic"], "msg-1", at, body)
        return world.deliver("generic", body, headers | {"Content-Type": "application/json"})

    now = int(world.clock.now.timestamp())
    assert send(now - 301).status_code == UNSIGNED
    assert send(now + 301).status_code == UNSIGNED
    assert send(now).status_code == 202
    assert send(now + 10).status_code == 200, "the same id"
    (event,) = world.events()
    assert event.fields == {"job": "nightly", "ok": True, "count": 3, "webhook": "generic"}
    assert world.refused("generic")["old_timestamp"] == 2


def test_what_happened_long_ago_is_left(world: World) -> None:
    world.clock.now += timedelta(days=31)
    answer = world.send()
    assert answer.status_code == 200
    assert answer.json()["ignored"].startswith("too_old")
    assert world.events() == []


def test_two_secrets_are_valid_during_a_rotation(world: World) -> None:
    given = payload("github", "pull_request_opened")
    old = world.secrets["github"]
    made = world.service.webhooks.rotate(world.service.admin, "github", "2h")
    assert made.previous_until == world.clock.now + timedelta(hours=2)
    for secret, status in ((old, 202), (made.secret, 200)):
        assert world.deliver("github", given.body, given.signed(secret)).status_code == status
    world.clock.now += timedelta(hours=2)
    assert world.deliver("github", given.body, given.signed(old)).status_code == UNSIGNED
    assert world.deliver("github", given.body, given.signed(made.secret)).status_code == 200
    newest = world.service.webhooks.rotate(world.service.admin, "github", "0s")
    assert newest.previous_until is None
    assert world.deliver("github", given.body, given.signed(made.secret)).status_code == UNSIGNED
    assert world.deliver("github", given.body, given.signed(newest.secret)).status_code == 200


def test_a_webhook_that_is_deleted_takes_nothing_and_one_of_its_name_has_another_secret(world: World) -> None:
    assert world.send().status_code == 202
    world.service.webhooks.delete(world.service.admin, "github")
    assert world.send(what="pull_request_closed").status_code == UNSIGNED
    world.clock.now += timedelta(seconds=1)
    world.service.webhooks.create(world.service.admin, "github", "github")
    assert world.send(what="pull_request_closed").status_code == UNSIGNED
    assert len(world.events()) == 1


def test_while_the_secrets_are_away_senders_are_told_to_come_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise BackendUnavailable("OpenBao is away.")

    monkeypatch.setattr(world.service.incoming.held, "read", away)
    answer = world.send()
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "OpenBao" not in answer.text


def test_whoever_signs_is_never_told_to_wait(world: World) -> None:
    given = payload("github", "pull_request_opened")
    for _ in range(deliveries.WRONG_EACH_MINUTE):
        world.service.incoming.deliveries._wrong.count("127.0.0.1")
    refused = world.deliver("github", given.body, given.headers)
    assert refused.status_code in (UNSIGNED, 429)
    assert world.send().status_code == 202


def test_a_secret_is_shown_once_and_in_no_list(world: World) -> None:
    token = world.service.tokens.first_token("root", "test")
    with httpx2.Client(base_url=ADDRESS, transport=world.http._transport, timeout=60) as http:
        http.headers["Authorization"] = f"Bearer {token}"
        body = {"name": "shop", "kind": "gitea", "address": "https://forge.example", "token": "forge-token"}
        made = http.post("/v1/webhooks", json=body)
        secret = made.json()["secret"]
        assert made.json()["webhook"]["deliveries"].endswith("/v1/webhooks/shop/deliveries")
        assert http.post("/v1/webhooks", json=body).status_code == 409
        told = "".join(http.get(path).text for path in ("/v1/webhooks", "/v1/webhooks/shop", "/v1/audit"))
    assert "shop" in told
    assert secret not in told
    assert "forge-token" not in told


@pytest.mark.parametrize(
    ("kind", "address", "taken"),
    [
        ("github", "", True),
        ("gitlab", "", True),
        ("gitea", "", False),
        ("forgejo", "", False),
        ("gitea", "https://forge.example", True),
    ],
)
def test_a_token_is_taken_where_the_address_of_the_forge_is_known(
    world: World, kind: str, address: str, taken: bool
) -> None:
    webhooks, admin = world.service.webhooks, world.service.admin
    webhooks.create(admin, "shop", kind, address=address)  # takes deliveries without a token, wherever the forge is
    if taken:
        webhooks.set_token(admin, "shop", "forge-token")
    else:
        with pytest.raises(InvalidInput, match="without the address of the forge"):
            webhooks.set_token(admin, "shop", "forge-token")


def test_a_name_that_is_taken_changes_nothing(world: World) -> None:
    with pytest.raises(NameTaken):
        world.service.webhooks.create(world.service.admin, "github", "gitea")
    assert world.send().status_code == 202


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("nothing", {}),
        ("generic", {"address": "https://forge.example"}),
        ("generic", {"token": "abc"}),
        ("gitea", {"address": "ftp://forge.example"}),
        ("gitea", {"address": "http://forge.example"}),
        ("gitea", {"address": "https://ada:secret@forge.example"}),
        ("gitea", {"address": "https://forge.example\r\nHost: other"}),
        ("gitea", {"token": "abc\r\nX: y"}),
        ("gitea", {"token": "x" * 5000}),
        ("gitea", {"token": "of-no-address"}),
        ("forgejo", {"token": "of-no-address"}),
        ("gitea", {"allowed": ["10.0.0.0/8:80"]}),
        ("gitea", {"allowed": [f"forge.example:{port}" for port in range(1, 30)]}),
    ],
)
def test_what_is_no_webhook_is_refused(world: World, kind: str, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        world.service.webhooks.create(world.service.admin, "shop", kind, **given)
    assert "shop" not in {one.name for one in world.service.webhooks.list(world.service.admin)}
    with pytest.raises(Forbidden):
        world.service.webhooks.create(MEMBER, "shop", "gitea")


def test_the_route_of_deliveries_is_looked_at_first(world: World) -> None:
    scope = {"type": "http", "method": "POST", "path": "/v1/webhooks/github/deliveries", "headers": []}
    assert create_app(world.service).routes[0].matches(scope)[0] is Match.FULL
