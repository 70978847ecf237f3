"""Nobody takes all of the service: neither who has no token, nor who has one and asks for too much at once."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from environments.api import bodies
from environments.api.bodies import LARGEST_BODY
from environments.api.concurrency import BackendCalls, OwnerLimiter
from environments.api.guard import EACH_AT_ONCE
from environments.api.readiness import Ready
from environments.domain.errors import TooManyRequests
from environments.serving import connections
from tests.fakes.service import Served, served
from tests.support.busy import patient


def soon() -> float:
    """Seconds within which what isn't kept waiting is answered: more on a busy machine."""
    return patient(10.0)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        yield found


def token(api: Served, owner: str) -> str:
    return api.service.tokens.create_token(api.service.admin, owner=owner).secret


def http(api: Served, secret: str | None, timeout: float = 60.0) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    limits = httpx2.Limits(max_connections=200)
    return httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=timeout, limits=limits)


def connect(api: Served) -> socket.socket:
    place = urlsplit(api.address)
    return socket.create_connection((str(place.hostname), place.port or 80), timeout=60)


def read_rests_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of a body is read for half a second after the answer; headers have all their time to arrive."""

    def seconds(self: connections.Patient) -> float:
        return 0.5 if self._answered else connections.HEAD_SECONDS

    monkeypatch.setattr(connections.Patient, "head_seconds", property(seconds))


def ends(connection: socket.socket) -> bytes:
    """What still comes until the other side closes the connection."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            said += piece
    return said


class Gate:
    """Holds whoever calls it until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.inside = 0
        self.most = 0
        self._guard = threading.Lock()

    def __call__(self, *_: object, **__: object) -> tuple[()]:
        with self._guard:
            self.inside += 1
            self.most = max(self.most, self.inside)
        try:
            assert self.opened.wait(60)
        finally:
            with self._guard:
                self.inside -= 1
        return ()

    def until(self, count: int) -> None:
        end = time.monotonic() + 120
        while self.inside < count:
            assert time.monotonic() < end
            time.sleep(0.01)


# --- without a token -------------------------------------------------------------------------------------------------


def test_made_up_methods_make_no_metrics(api: Served) -> None:
    with http(api, None) as stranger:
        for number in range(50):
            assert stranger.request(f"M{number}", f"/nothing/{number}").status_code == 401
    with http(api, api.token) as admin:
        for number in range(5):
            assert admin.request(f"N{number}", "/v1/templates").status_code == 405
            assert admin.request("GET", f"/nothing/{number}").status_code == 404
        lines = admin.get("/metrics").text.splitlines()
    series = [line for line in lines if line.startswith("calvinverse_requests_total")]
    assert not [line for line in series if 'method="M' in line or 'method="N' in line or "/nothing" in line]
    assert len([line for line in series if 'method="other"' in line]) <= 2


def test_strangers_that_ask_for_readiness_share_one_look(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0

    def slow() -> dict[str, str]:
        nonlocal reads
        reads += 1
        time.sleep(0.3)
        return {}

    monkeypatch.setattr(api.service.world, "troubles", slow)
    began = time.monotonic()
    with http(api, None) as stranger, ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: stranger.get("/self/readiness").status_code, range(100)))
        took = time.monotonic() - began
    assert answers == [200] * 100
    assert reads <= 2 + took / 2


def test_an_asker_of_readiness_with_a_token_gets_a_look_of_its_own_time() -> None:
    async def ask() -> list[dict[str, str]]:
        found = {"consul": "away"}
        ready = Ready(lambda: dict(found), monotonic=lambda: 0.0)
        first = await ready.troubles()
        found.clear()
        return [first, await ready.troubles(), await ready.troubles(fresh=True), await ready.troubles()]

    assert asyncio.run(ask()) == [{"consul": "away"}, {"consul": "away"}, {}, {}]


def test_made_up_tokens_keep_no_good_one_waiting(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = token(api, "grace")
    honest = api.service.tokens.authenticate
    gate = Gate()

    def slow(bearer: str, address: str) -> object:
        if bearer.startswith("made-up"):
            gate()
        return honest(bearer, address)

    with http(api, mine) as grace, http(api, None) as stranger, ThreadPoolExecutor(50) as pool:
        assert grace.get("/self/started").status_code == 200
        monkeypatch.setattr(api.service.tokens, "authenticate", slow)
        asked = [
            pool.submit(stranger.get, "/v1/environments", headers={"Authorization": f"Bearer made-up-{number}"})
            for number in range(50)
        ]
        try:
            gate.until(4)
            began = time.monotonic()
            assert grace.get("/v1/environments").status_code == 200
            assert stranger.get("/self/liveness").status_code == 200
            assert time.monotonic() - began < soon()
            assert gate.most == 4
        finally:
            gate.opened.set()
        assert {found.result().status_code for found in asked} == {401}


def test_headers_that_do_not_come_end_the_connection(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections.Patient, "head_seconds", 0.5)
    for said in (b"", b"GET /self/live", b"GET /self/liveness HTTP/1.1\r\nHost: x\r\nX-Slow: "):
        with connect(api) as slow:
            slow.sendall(said)
            assert ends(slow) == b""


def test_idle_connections_make_room_for_others(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections.Patient, "most_waiting", 20)
    monkeypatch.setattr(connections.Patient, "head_seconds", 3600.0)
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connect(api)) for _ in range(60)]
        with http(api, None) as stranger:
            assert stranger.get("/self/liveness").status_code == 200
        for connection in idle[:30]:
            assert ends(connection) == b""


def test_answers_that_nobody_reads_end_the_connection(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections.Patient, "unread_seconds", 0.5)
    request = f"GET /openapi.json HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.token}\r\n\r\n".encode()

    def ask(deaf: socket.socket) -> None:
        for _ in range(100_000):
            deaf.sendall(request * 10)

    with connect(api) as deaf, pytest.raises(ConnectionError):
        ask(deaf)


def test_the_body_of_a_refused_request_is_not_waited_for(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    read_rests_briefly(monkeypatch)
    for method in (b"POST", b"GET"):
        with connect(api) as stranger:
            stranger.sendall(method + b" /v1/environments HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            assert ends(stranger).startswith(b"HTTP/1.1 401")


def test_who_sends_much_and_may_not_still_hears_why(api: Served) -> None:
    with http(api, "made-up") as stranger:
        answer = stranger.post("/v1/templates", json={"files": {"template.toml": "A" * (8 << 20)}})
    assert answer.status_code == 401


def test_a_body_in_pieces_of_a_byte_keeps_nobody_waiting(api: Served) -> None:
    body = json.dumps({"name": "crumbs", "template": "web", "parameters": {"message": "x" * 200_000}}).encode()
    said = b""

    def send() -> None:
        nonlocal said
        head = (
            f"POST /v1/environments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.token}\r\nConnection: close\r\n"
        )
        with connect(api) as sender:
            sender.sendall(head.encode() + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            sender.sendall(b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
            said = ends(sender)

    sending = threading.Thread(target=send)
    sending.start()
    with http(api, None) as stranger:
        while sending.is_alive():
            began = time.monotonic()
            assert stranger.get("/self/liveness").status_code == 200
            assert time.monotonic() - began < soon()
            sending.join(0.05)
    assert said.startswith((b"HTTP/1.1 202", b"HTTP/1.1 422")), said[:200]


# --- with a token ----------------------------------------------------------------------------------------------------


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = {"longest": 0.5, "most_at_once": 1 << 20, "idle": 5.0}
    monkeypatch.setattr(bodies.Limited.__init__, "__kwdefaults__", defaults)
    read_rests_briefly(monkeypatch)
    with served(tmp_path) as api:
        head = f"POST /v1/environments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.token}\r\n"
        with connect(api) as slow:
            slow.sendall(head.encode() + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
            said = ends(slow)
        assert said.startswith(b"HTTP/1.1 408")
        assert b"request_too_slow" in said


def test_large_bodies_share_a_limited_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = {"longest": 60, "most_at_once": 6 << 20, "idle": 3600.0}
    monkeypatch.setattr(bodies.Limited.__init__, "__kwdefaults__", defaults)
    with served(tmp_path) as api, contextlib.ExitStack() as stack:
        head = (
            f"POST /v1/templates HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {2 << 20}\r\n\r\n"
        )
        with http(api, api.token) as admin:
            end = time.monotonic() + 60
            while True:
                first = stack.enter_context(connect(api))
                first.sendall(head.encode() + b" " * ((2 << 20) - 1))
                refused = admin.post("/v1/templates", json={"files": {"template.toml": "A" * (2 << 20)}})
                if refused.status_code != 422:
                    break
                # It came before the first one, which may be the one that was refused.
                assert time.monotonic() < end
                first.close()
            assert refused.status_code == 429
            assert refused.headers["Retry-After"] == "10"
            small = admin.post("/v1/templates", content=json.dumps({"files": {}}).ljust(LARGEST_BODY - 1).encode())
            assert small.status_code == 415  # looked at: there is room for small ones
            first.close()
            end = time.monotonic() + 120
            while admin.post("/v1/templates", json={"files": {"x": "A" * (2 << 20)}}).status_code == 429:
                assert time.monotonic() < end


def test_slow_plans_of_one_keep_nobody_else_waiting(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    monkeypatch.setattr(api.service.world, "plan", gate)
    plan = {"kind": "create", "template": "web"}
    with (
        http(api, token(api, "mallory")) as mallory,
        http(api, token(api, "grace")) as grace,
        http(api, None) as stranger,
        ThreadPoolExecutor(41) as pool,
    ):
        asked = [pool.submit(mallory.post, f"/v1/environments/m{number}/plan", json=plan) for number in range(40)]
        try:
            gate.until(2)
            for client, path in (
                (grace, "/v1/environments"),
                (stranger, "/self/liveness"),
                (stranger, "/self/readiness"),
            ):
                began = time.monotonic()
                assert client.get(path).status_code == 200
                assert time.monotonic() - began < soon()
            hers = pool.submit(grace.post, "/v1/environments/hers/plan", json=plan)
            gate.until(3)
            refused = [found for found in asked if found.done()]
            assert gate.most == 3
        finally:
            gate.opened.set()
        assert hers.result().status_code == 201
        answers = [found.result() for found in asked]
    assert {answer.status_code for answer in answers} == {201, 429}
    assert all(found.result().status_code == 429 for found in refused)
    too_many = next(answer for answer in answers if answer.status_code == 429)
    assert too_many.json()["code"] == "too_many_requests"
    assert "mallory" in too_many.json()["detail"]
    assert too_many.headers["Retry-After"] == "10"


def test_slow_requests_of_one_leave_threads_for_others(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, gate = api.service.reading.listing, Gate()

    def slow(principal: object, **asked: object) -> object:
        if getattr(principal, "owner", "") == "mallory":
            gate()
        return honest(principal, **asked)  # type: ignore[arg-type]

    with (
        http(api, token(api, "mallory")) as mallory,
        http(api, token(api, "grace")) as grace,
        ThreadPoolExecutor(60) as pool,
    ):
        monkeypatch.setattr(api.service.reading, "listing", slow)
        asked = [pool.submit(mallory.get, "/v1/environments") for _ in range(60)]
        try:
            gate.until(EACH_AT_ONCE)
            began = time.monotonic()
            assert grace.get("/v1/environments").status_code == 200
            assert grace.post("/v1/environments", json={"name": "hers", "template": "web"}).status_code == 202
            assert time.monotonic() - began < soon()
            assert gate.most == EACH_AT_ONCE
        finally:
            gate.opened.set()
        assert {found.result().status_code for found in asked} == {200}


# --- concurrency per owner --------------------------------------------------------------------------------------------


def limiter(each: int = 1, most: int = 2, waiting: int = 2, patience: float = 60.0) -> OwnerLimiter:
    return OwnerLimiter("plans", each=each, most=most, waiting=waiting, patience=patience)


def run(check: Callable[[], object]) -> None:
    asyncio.run(check())  # type: ignore[arg-type]


def test_slots_come_in_order_and_an_own_queue_delays_nobody_else() -> None:
    async def check() -> None:
        slots, came = limiter(), list[str]()

        async def go(owner: str) -> None:
            async with slots.slot(owner):
                came.append(owner)
                await asyncio.sleep(0.05)

        await asyncio.gather(*(go(owner) for owner in ("ada", "ada", "ada", "bob", "cy")))
        assert came == ["ada", "bob", "ada", "cy", "ada"]

    run(check)


def test_slots_are_refused_when_too_many_wait_or_it_takes_too_long() -> None:
    async def check() -> None:
        slots = limiter(waiting=1, patience=0.2)
        await slots.acquire("ada")
        waiting = asyncio.create_task(slots.acquire("ada"))
        await asyncio.sleep(0)
        with pytest.raises(TooManyRequests, match="1 of ada"):
            await slots.acquire("ada")
        with pytest.raises(TooManyRequests):
            await waiting
        leaving = asyncio.create_task(slots.acquire("ada"))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        slots.release("ada")
        await slots.acquire("ada")  # nothing of those that left is in the way

    run(check)


def test_an_owner_has_only_so_many_slow_requests_in_a_minute() -> None:
    async def check() -> None:
        calls = BackendCalls(each_minute=2)
        assert [await calls.run("ada", lambda: 1), await calls.run("ada", lambda: 2)] == [1, 2]
        with pytest.raises(TooManyRequests, match="in a minute: at most 2") as refusal:
            await calls.run("ada", lambda: 3)
        assert 1 <= refusal.value.details["retry_after"] <= 60
        assert await calls.run("bob", lambda: 4) == 4

    run(check)
