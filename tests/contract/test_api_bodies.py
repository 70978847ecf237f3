"""Large bodies: who may send them, how much of them there may be at once, and what is made of them."""

import asyncio
import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from starlette.types import Message, Receive, Scope, Send

from environments.api import bodies
from environments.api.bodies import LARGEST_BODY, LARGEST_PUSH, Limited
from environments.domain.errors import TooManyRequests
from environments.service.authorization import Principal
from environments.service.module_access import StateCaller
from tests.contract.test_api_limits import connect, ends, http, read_rests_briefly
from tests.fakes.service import Served, served

PATHS = ("/v1/templates", "/v1/templates/validate")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        yield found


def token(api: Served, owner: str, role: Literal["admin", "user"] = "admin") -> str:
    return api.service.tokens.create_token(api.service.admin, owner=owner, role=role).secret


def head(path: str, secret: str, length: int) -> bytes:
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {secret}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    )
    return "\r\n".join((*lines, "", "")).encode()


def bundle(size: int) -> dict[str, Any]:
    return {"files": {"notes.txt": base64.b64encode(b"x" * size).decode()}}


@pytest.mark.parametrize("path", PATHS)
def test_large_bodies_of_who_may_not_push_are_not_waited_for(
    api: Served, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    read_rests_briefly(monkeypatch)
    with connect(api) as mallory:
        mallory.sendall(head(path, token(api, "mallory", "user"), LARGEST_PUSH) + b"{")
        said = ends(mallory)
    assert said.startswith(b"HTTP/1.1 403")
    assert b'"code":"forbidden"' in said


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("crumb", [b"[],", b"{},", b"0,", b'"",'])
def test_a_large_body_of_very_many_parts_is_refused(api: Served, path: str, crumb: bytes) -> None:
    body = b'{"files":[' + crumb * (5_000_000 // len(crumb)) + b"0]}"
    with http(api, api.token) as admin:
        answer = admin.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "The body holds more than" in answer.json()["detail"]


def test_bodies_that_are_only_announced_take_no_room(api: Served) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(12):
            idle = stack.enter_context(connect(api))
            idle.sendall(head("/v1/templates", token(api, "grace"), LARGEST_PUSH) + b"{")
        with http(api, api.token) as admin:
            for _ in range(5):
                assert admin.post("/v1/templates/validate", json=bundle(1 << 20)).status_code == 200


def test_a_share_of_the_room_is_left_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = {"longest": 60, "most_at_once": 6 << 20, "idle": 3600.0}
    monkeypatch.setattr(bodies.Limited.__init__, "__kwdefaults__", defaults)
    with served(tmp_path) as api, connect(api) as first:
        hers = token(api, "grace")
        first.sendall(head("/v1/templates", hers, 5 << 19) + b" " * (2 << 20))
        with http(api, hers) as grace, http(api, api.token) as admin:
            end = time.monotonic() + 60
            while grace.post("/v1/templates/validate", json=bundle(1 << 20)).status_code != 429:
                assert time.monotonic() < end
            assert admin.post("/v1/templates/validate", json=bundle(1 << 20)).status_code == 200


def test_a_large_body_that_does_not_come_on_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = {"longest": 60, "most_at_once": 6 << 20, "idle": 0.0}
    read_rests_briefly(monkeypatch)
    monkeypatch.setattr(bodies.Limited.__init__, "__kwdefaults__", defaults)
    with served(tmp_path) as api, connect(api) as first:
        first.sendall(head("/v1/templates", api.token, 5 << 19) + b" " * (2 << 20))
        said = threading.Thread(target=lambda: heard.append(ends(first)))
        heard: list[bytes] = []
        said.start()
        with http(api, api.token) as admin:
            end = time.monotonic() + 60
            while said.is_alive():
                assert time.monotonic() < end
                assert admin.post("/v1/templates/validate", json=bundle(1 << 20)).status_code == 200
                said.join(0.01)
    assert heard[0].startswith(b"HTTP/1.1 408")


def test_only_small_bodies_are_parsed_where_everybody_waits(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, str]] = []
    honest = bodies.check_json

    def watched(body: bytes) -> None:
        seen.append((len(body), threading.current_thread().name))
        honest(body)

    monkeypatch.setattr(bodies, "check_json", watched)
    with http(api, api.token) as admin:
        for size in (10, 200_000, 1_000_000):
            assert admin.post("/v1/templates/validate", json=bundle(size)).status_code == 200
    (_, small), (_, larger), (_, largest) = seen
    assert small not in (larger, largest)


def test_states_of_modules_have_room_of_their_own() -> None:
    body = json.dumps({"version": 4, "x": "A" * (2 * LARGEST_BODY)}).encode()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["body"] == body
        done.append(scope["path"])

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    def scope(path: str, **state: object) -> Scope:
        headers = [(b"content-type", b"application/json")]
        return {"type": "http", "method": "POST", "path": path, "headers": headers, "state": state}

    async def check() -> None:
        limited = Limited(app, most_at_once=LARGEST_BODY)
        with pytest.raises(TooManyRequests):
            await limited(scope("/v1/templates", principal=Principal("ada", "admin", "tok-1")), receive, send)
        await limited(scope("/state", state_caller=StateCaller("env-1", "things", None)), receive, send)

    done: list[str] = []
    asyncio.run(check())
    assert done == ["/state"]
