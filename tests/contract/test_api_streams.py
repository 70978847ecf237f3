"""Live events: in order, each once, across lost connections, only to who may see them, never in the server's way."""

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from environments.api import streams
from environments.client import Client, Connected, Disconnected
from environments.domain.environment import EventType
from environments.domain.errors import InvalidInput, Unauthenticated, UnknownEnvironment
from environments.domain.lifecycle import State
from environments.service.authorization import Principal
from environments.serving import server
from environments.stores.database import Database
from environments.wire.environments import CreateRequest
from environments.wire.tokens import TokenRequest
from tests.fakes.listener import Listener, connected
from tests.fakes.service import FakeService, Served, listening, make_service, served
from tests.support.migrated import open_migrated
from tests.support.postgres import Postgres


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


def raw(api: Served, headers: dict[str, str], seconds: float = 1.0, **query: str) -> str:
    """What a stream says in its first moments, as it is."""
    everything = {"Authorization": f"Bearer {api.token}", **headers}
    text = ""
    patience = httpx2.Timeout(30.0, read=max(seconds, 5.0))
    with (
        httpx2.Client(base_url=api.address, headers=everything, trust_env=False, timeout=patience) as http,
        http.stream("GET", "/v1/events", params=query) as response,
    ):
        end = time.monotonic() + seconds
        assert response.headers["content-type"].startswith("text/event-stream")
        try:
            for part in response.iter_text():
                text += part
                if time.monotonic() > end:
                    break
        except httpx2.ReadTimeout:
            pass
    return text


def test_what_happens_is_told_in_order_and_from_now_on(api: Served) -> None:
    with api.client() as client:
        client.create(CreateRequest(name="before", template="web"))
        listener = Listener(client.events())
        listener.until(connected)
        client.create(CreateRequest(name="after", template="web"))
        api.service.log("after", "first")
        api.service.log("after", "second")
        listener.until(lambda seen: len(seen.messages) == 2)
        assert {event.environment for event in listener.events} == {"after"}
        assert listener.messages == ["first", "second"]
        ids = [event.id for event in listener.events]
        assert ids == sorted(set(ids))
        listener.close()


def test_what_happens_before_a_slow_stream_begins_is_told(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reader is told that it is connected before the stream has looked at its token once more."""
    may_begin, looks = threading.Event(), itertools.count()
    authenticate = api.service.tokens.authenticate

    def slow(token: str, address: str = "") -> Principal:
        if next(looks) == 1:  # that of the stream, after that of its request
            may_begin.wait(60)
        return authenticate(token, address)

    with api.client() as client:
        client.create(CreateRequest(name="demo", template="web"))
        monkeypatch.setattr(api.service.tokens, "authenticate", slow)
        listener = Listener(client.events())
        listener.until(connected)
        api.service.log("demo", "meanwhile")
        api.service.log("demo", "a second later")
        with api.client() as other:
            seen = Listener(other.events(after=0))
            seen.until(lambda heard: heard.messages == ["meanwhile", "a second later"])
            seen.close()
        may_begin.set()
        listener.until(lambda heard: heard.messages == ["meanwhile", "a second later"])
        listener.close()


def test_a_reader_catches_up_from_the_last_event_it_saw(api: Served) -> None:
    with api.client() as client:
        client.create(CreateRequest(name="demo", template="web"))
        lines = [str(number) for number in range(3 * streams.BATCH)]
        api.service.log("demo", *lines)
        listener = Listener(client.events(after=0))
        listener.until(lambda seen: len(seen.messages) == len(lines))
        assert listener.messages == lines
        last = listener.events[-2].id
        listener.close()
    text = raw(api, {"Last-Event-ID": str(last)})
    assert f"id: {last + 1}\nevent: log\ndata: {{" in text
    assert text.count("data: ") == 1


def test_a_slow_reader_loses_nothing(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LONGEST_QUEUE", 5)
    with api.client() as client:
        client.create(CreateRequest(name="demo", template="web"))
        listener = Listener(client.events())
        listener.until(connected)
        with api.service.database.write() as tx:
            environment = tx.environments.named("demo")
            assert environment is not None
            for number in range(100):
                tx.events.add(EventType.LOG, environment.id, environment.created_at, message=str(number))
        listener.until(lambda seen: len(seen.messages) == 100)
        assert listener.messages == [str(number) for number in range(100)]
        listener.close()


def test_only_one_environment_by_name_or_id(api: Served) -> None:
    with api.client() as client:
        demo = client.create(CreateRequest(name="demo", template="web")).environment
        client.create(CreateRequest(name="other", template="web"))
        listeners = [Listener(client.events(0, "demo")), Listener(client.events(None, demo.id))]
        for listener in listeners:
            listener.until(connected)
        api.service.log("other", "not this")
        api.service.log("demo", "this")
        for listener in listeners:
            listener.until(lambda seen: seen.messages)
            assert listener.messages == ["this"]
            assert {event.environment for event in listener.events} == {"demo"}
            listener.close()
        with pytest.raises(UnknownEnvironment):
            next(iter(client.events(None, "nope")))


def test_users_hear_of_their_own_environments_only(api: Served) -> None:
    with api.client() as admin:
        secret = admin.create_token(TokenRequest(owner="ada")).secret
        admin.create(CreateRequest(name="theirs", template="web"))
        with api.client(secret) as ada:
            live, all_of_it = Listener(ada.events()), Listener(ada.events(0))
            for listener in (live, all_of_it):
                listener.until(connected)
            api.service.log("theirs", "secret business")
            ada.create(CreateRequest(name="mine", template="web"))
            api.service.log("theirs", "more of it")
            api.service.log("mine", "hello")
            for listener in (live, all_of_it):
                listener.until(lambda seen: "hello" in seen.messages)
                assert {event.environment for event in listener.events} == {"mine"}
                listener.close()


def test_the_place_to_go_on_from_must_be_an_id(api: Served) -> None:
    with httpx2.Client(base_url=api.address, headers={"Authorization": f"Bearer {api.token}"}, timeout=60) as http:
        for wrong in ("x", "-1", "1.5", str(2**63)):
            assert http.get("/v1/events", headers={"Last-Event-ID": wrong}).status_code == 422
    with api.client() as client, pytest.raises(InvalidInput):
        next(iter(client.events(-1)))


def test_a_silent_stream_shows_that_it_is_alive(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.1)
    text = raw(api, {}, 2.0)
    assert text.startswith("retry: ")
    assert text.count(": still here\n") >= 2


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_quiet_stream_shows_that_it_is_alive_while_others_are_busy(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(folder: Path) -> Database:
        if kind == "sqlite":
            return open_migrated(folder)
        postgres: Postgres = request.getfixturevalue("postgres")
        return open_migrated(folder, postgres.new_database(), postgres.password_file)

    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.5)
    with served(tmp_path, opened=opened) as api, api.client() as client:
        for name in ("quiet", "busy"):
            client.create(CreateRequest(name=name, template="web"))
        done = threading.Event()

        def be_busy() -> None:
            while not done.wait(0.05):
                api.service.log("busy", "again")

        others = threading.Thread(target=be_busy)
        others.start()
        try:
            text = raw(api, {}, 3.0, environment="quiet")
        finally:
            done.set()
            others.join()
    places = [int(line.removeprefix("id: ")) for line in text.splitlines() if line.startswith("id: ")]
    assert text.count(": still here\n") >= 2
    assert "data: " not in text
    assert places[-1] > places[0]  # who comes back does not hear of the others again


@pytest.mark.parametrize("told", [True, False], ids=["by this process", "by another one"])
def test_a_stream_ends_when_its_token_is_revoked(api: Served, monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    """At once where it is revoked, with the streams of tokens that were made with it; others notice by looking."""
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 1000.0)
    monkeypatch.setattr(streams, "CHECK_SECONDS", 1000.0 if told else 0.1)
    with api.client() as admin:
        made = admin.create_token(TokenRequest(owner="ada", role="admin"))
        with api.client(made.secret) as ada:
            child = ada.create_token(TokenRequest(owner="bob"))
        with api.client(made.secret) as ada, api.client(child.secret) as bob:
            listeners = [Listener(ada.events()), Listener(bob.events())]
            stays = Listener(admin.events())
            for listener in (*listeners, stays):
                listener.until(connected)
            if told:
                admin.revoke_token(made.token.id)
            else:
                with api.service.database.write() as tx:
                    tx.tokens.revoke(made.token.id, datetime.now(UTC))
            for listener in listeners:
                listener.until(lambda seen: isinstance(seen.error, Unauthenticated))
            admin.create(CreateRequest(name="demo", template="web"))
            stays.until(lambda seen: seen.events)
            stays.close()


def test_a_stream_ends_when_its_token_expires(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 1000.0)
    monkeypatch.setattr(streams, "CHECK_SECONDS", 0.1)
    with api.client() as admin:
        made = admin.create_token(TokenRequest(owner="ada", ttl="1h"))
        with api.client(made.secret) as ada:
            listener = Listener(ada.events())
            listener.until(connected)
            with api.service.database.write() as tx:
                record = tx.tokens.line(made.token.id, 1)[0]
                tx.tokens.add(record._replace(expires_at=record.created_at))
            listener.until(lambda seen: isinstance(seen.error, Unauthenticated))


def test_a_slow_reader_hears_nothing_more_once_its_token_is_revoked(api: Served) -> None:
    """It is sent only what was on its way: the rest of what it missed stays here."""
    lines = 400
    with api.client() as admin:
        made = admin.create_token(TokenRequest(owner="ada", role="admin"))
        admin.create(CreateRequest(name="demo", template="web"))
        api.service.log("demo", *(f"{number} " + "x" * 100_000 for number in range(lines)))
        headers = {"Authorization": f"Bearer {made.secret}"}
        with (
            httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=60) as http,
            http.stream("GET", "/v1/events", params={"after": 0}) as response,
        ):
            parts = response.iter_text()
            text = next(parts)
            admin.revoke_token(made.token.id)
            for part in parts:
                text += part
        assert text.count("event: log") < lines / 2


def test_a_place_that_the_database_never_reached_is_corrected(api: Served) -> None:
    with api.client() as client:
        client.create(CreateRequest(name="demo", template="web"))
        listener = Listener(client.events(10**12))
        listener.until(connected)
        time.sleep(0.1)
        api.service.log("demo", "hello")
        listener.until(lambda seen: seen.messages == ["hello"])
        listener.close()


def test_many_readers_cost_no_thread_each_and_all_hear_everything(api: Served) -> None:
    readers = 60
    before = threading.active_count()
    with api.client() as client:
        client.create(CreateRequest(name="demo", template="web"))
        listeners = [Listener(client.events()) for _ in range(readers)]
        for listener in listeners:
            listener.until(connected)
        ours = readers  # each listener of this test is a thread as well
        assert threading.active_count() - before - ours < 45  # the pool for calls into the use cases has 40
        api.service.move("demo", State.DEPLOYING)
        for listener in listeners:
            listener.until(lambda seen: [event.data for event in seen.events] == [{"state": "deploying"}])
            listener.close()


def test_the_server_stops_at_once_and_readers_go_on_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "STOP_SECONDS", 100)  # after which it cuts readers off that still read
    service: FakeService = make_service(tmp_path)
    secret = service.tokens.first_token("root", "test")
    try:
        with listening(service) as address:
            client = Client(address, secret)
            client.create(CreateRequest(name="demo", template="web"))
            listener = Listener(client.events())
            listener.until(connected)
            service.log("demo", "before")
            listener.until(lambda seen: seen.messages == ["before"])
            stopping = time.monotonic()
        assert time.monotonic() - stopping < 50
        listener.until(lambda seen: isinstance(seen.items[-1], Disconnected))
        service.log("demo", "meanwhile")
        with listening(service, port=int(address.rpartition(":")[2])):
            listener.until(lambda seen: "meanwhile" in seen.messages)
            service.log("demo", "after")
            listener.until(lambda seen: len(seen.messages) == 3)
            assert listener.messages == ["before", "meanwhile", "after"]
            assert sum(isinstance(item, Connected) for item in listener.items) == 2
            listener.close()
            client.close()
    finally:
        service.database.close()


def test_an_owner_has_only_so_many_streams_open_and_all_have_only_so_many(
    api: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_OF_ONE", 2)
    monkeypatch.setattr(streams, "MOST_STREAMS", 3)
    with api.client() as admin:
        tokens = [admin.create_token(TokenRequest(owner=owner)).secret for owner in ("ada", "ada", "grace", "eve")]
    ada, ada_too, grace, eve = tokens
    with contextlib.ExitStack() as stack:

        def opened(token: str) -> httpx2.Response:
            everything = {"Authorization": f"Bearer {token}"}
            http = stack.enter_context(
                httpx2.Client(base_url=api.address, headers=everything, trust_env=False, timeout=60)
            )
            return stack.enter_context(http.stream("GET", "/v1/events", timeout=30))

        mine = opened(ada)
        assert [response.status_code for response in (mine, opened(ada_too))] == [200, 200]
        refused = opened(ada)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
        assert "ada has 2 streams" in refused.read().decode()
        assert opened(grace).status_code == 200
        full = opened(eve)
        assert full.status_code == 429
        assert "3 streams of events are open" in full.read().decode()
        # A client waits for a place, and tells.
        with api.client(ada) as client:
            listener = Listener(client.events())
            listener.until(lambda seen: any(isinstance(item, Disconnected) for item in seen.items))
            mine.close()
            listener.until(connected)
            listener.close()


def test_the_last_streams_are_for_those_who_have_few(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, number in {"MOST_STREAMS": 4, "KEPT_STREAMS": 2, "FEW_STREAMS": 1}.items():
        monkeypatch.setattr(streams, name, number)
    with api.client() as admin:
        ada, grace, eve = (admin.create_token(TokenRequest(owner=owner)).secret for owner in ("ada", "grace", "eve"))
    with contextlib.ExitStack() as stack:

        def opened(token: str) -> httpx2.Response:
            http = stack.enter_context(httpx2.Client(base_url=api.address, trust_env=False, timeout=60))
            headers = {"Authorization": f"Bearer {token}"}
            return stack.enter_context(http.stream("GET", "/v1/events", headers=headers))

        assert [opened(ada).status_code, opened(ada).status_code] == [200, 200]
        refused = opened(ada)
        assert refused.status_code == 429
        assert "the last 2 are for those who have fewer than 1: ada has 2" in refused.read().decode()
        assert [opened(token).status_code for token in (grace, eve)] == [200, 200]


def test_an_owner_opens_only_so_many_streams_in_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "OPENED_EACH_MINUTE", 2)
    with served(tmp_path) as api:
        with api.client() as admin:
            ada, grace = (admin.create_token(TokenRequest(owner=owner)).secret for owner in ("ada", "grace"))
        with api.client(ada) as client:
            for _ in range(2):
                listener = Listener(client.events())
                listener.until(connected)
                listener.close()
            stream = client.events()
            refused = next(iter(stream))
            stream.close()
        assert isinstance(refused, Disconnected)
        assert "Too many streams of events are opened in a minute: at most 2" in refused.error.message
        assert 5 < refused.again_in == refused.error.details["retry_after"] <= 60  # and not its own half second
        with api.client(grace) as client:
            listener = Listener(client.events())
            listener.until(connected)
            listener.close()


def test_a_stream_that_was_not_to_be_takes_no_place(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_OF_ONE", 1)
    with api.client() as client:
        for _ in range(3):
            with pytest.raises(UnknownEnvironment):
                next(iter(client.events(None, "nope")))
        for _ in range(3):
            listener = Listener(client.events())
            listener.until(connected)
            listener.close()
