"""Logs of containers over HTTP: what runs, the end of a log, following it within limits, and what nobody gets."""

import contextlib
import threading
import time
from collections.abc import Iterator

import httpx2
import pytest

from environments.api.routes.containers import FOLLOWED, LONGEST_WAIT
from environments.client import Client
from environments.domain.containers import Container
from environments.domain.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    TooManyRequests,
    UnknownEnvironment,
    UnknownRoute,
)
from environments.wire.environments import CreateRequest
from environments.wire.tokens import TokenRequest
from tests.fakes.service import Served, served

THEIRS = "0e0e0e0e-0000-0000-0000-000000000009"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("containers")) as running:
        with running.client() as client:
            grace = client.create_token(TokenRequest(owner="grace")).secret
            client.create(CreateRequest(name="mine", template="web"))
        with running.client(grace) as client:
            client.create(CreateRequest(name="theirs", template="web"))
        theirs = running.service.run("theirs", allocation=THEIRS)
        running.service.containers.write(theirs, "their words\n")
        yield running


@pytest.fixture(scope="module")
def container(api: Served) -> Container:
    container = api.service.run("mine")
    api.service.containers.write(container, "one\ntwo\n")
    return container


@pytest.fixture
def client(api: Served) -> Iterator[Client]:
    with api.client() as made:
        yield made


def test_what_runs_is_listed_and_its_end_is_read(client: Client, container: Container) -> None:
    (found,) = client.containers("mine")
    assert (found.job, found.task, found.allocation, found.state) == ("web", "app", container.allocation, "running")
    part = client.container_log("mine", job="web", task="app", last=1)
    assert [(line.stream.value, line.text) for line in part.lines] == [("stdout", "two")]
    assert (part.more, part.missed, part.ended) == (False, False, False)


def test_who_waits_hears_what_comes_and_waits_no_longer(api: Served, client: Client, container: Container) -> None:
    part = client.container_log("mine")
    began = time.monotonic()
    silent = client.container_log("mine", after=part.after, wait=1)
    assert (silent.lines, silent.after) == ([], part.after)
    assert time.monotonic() - began >= 1
    writer = threading.Timer(0.3, api.service.containers.write, (container, "three\n"))
    writer.start()
    heard = client.container_log("mine", after=part.after, wait=20)
    writer.join()
    assert [line.text for line in heard.lines] == ["three"]
    with pytest.raises(InvalidInput):
        client.container_log("mine", after=part.after, wait=21)


def test_following_ends_with_what_is_followed(api: Served, client: Client) -> None:
    short = api.service.run("mine", "short", allocation="0d0d0d0d-0000-0000-0000-000000000004")
    api.service.containers.write(short, "last words")
    part = client.container_log("mine", job="short")
    assert (part.lines, part.ended) == ([], False)
    api.service.containers.end(short)
    part = client.container_log("mine", job="short", after=part.after, wait=20)
    assert ([line.text for line in part.lines], part.ended) == (["last words"], True)


def test_nothing_of_another_environment_is_reached(api: Served, container: Container) -> None:
    """Not by its allocation, nor by texts that mean something in paths."""
    with api.client() as admin:
        ada = admin.create_token(TokenRequest(owner="ada", role="user")).secret
    with api.client(ada) as stranger:
        for name in ("mine", "theirs", "../theirs", "theirs/containers/log?x="):
            with pytest.raises((UnknownEnvironment, UnknownRoute)):
                stranger.containers(name)
            with pytest.raises((UnknownEnvironment, UnknownRoute)):
                stranger.container_log(name, allocation=THEIRS)
    headers = {"Authorization": f"Bearer {api.token}"}
    with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=30) as http:
        tricks = (
            {"allocation": THEIRS},
            {"allocation": THEIRS[:8]},
            {"allocation": ""},
            {"allocation": f"{container.allocation}/../{THEIRS}"},
            {"allocation": f"{container.allocation}?namespace=theirs"},
            {"job": "web", "task": "../app"},
            {"job": "../theirs/web"},
            {"task": "app.stdout.0/../../../etc/passwd"},
            {"job": "web\0"},
            {"after": "../../../etc/passwd"},
            {"after": "o0.0-" * 15},
            {"stream": "../stdout"},
            {"last": "-1"},
            {"last_bytes": str(2**70)},
            {"namespace": "theirs"},
        )
        for trick in tricks:
            answer = http.get("/v1/environments/mine/containers/log", params=trick)
            assert answer.status_code in (400, 404, 422), (trick, answer.text)
            assert "their words" not in answer.text


def test_a_hostile_writer_is_bounded_and_made_harmless(api: Served, client: Client) -> None:
    hostile = api.service.run("mine", "hostile", allocation="0f0f0f0f-0000-0000-0000-000000000005")
    write = api.service.containers.write
    write(hostile, b"\x1b]0;title\x07\x1b[2J<script>alert(1)</script>\r\x00\xff\n")
    write(hostile, b"x" * 3_000_000)
    first = client.container_log("mine", job="hostile", after="beginning")
    assert first.lines[0].text == "<script>alert(1)</script>"
    assert sum(len(line.text) for line in first.lines) < 140_000
    parts = list(client.container_log_from("mine", first))
    assert all(part.after for part in parts)
    assert sum(len(line.text) for part in parts for line in part.lines) < 10_000, (
        "a line without an end has a beginning"
    )


def test_an_owner_follows_only_so_many_at_once(api: Served) -> None:
    quiet = api.service.run("mine", "quiet", allocation="0c0c0c0c-0000-0000-0000-000000000006")
    with api.client() as admin:
        pat = admin.create_token(TokenRequest(owner="pat", role="admin")).secret
        after = admin.container_log("mine", job="quiet").after

    def wait(seconds: int) -> None:
        with api.client(pat) as one:
            one.container_log("mine", job="quiet", after=after, wait=seconds)

    def follow() -> None:
        while True:
            with contextlib.suppress(TooManyRequests):
                wait(LONGEST_WAIT)
                return

    def ask_until_refused() -> None:
        while any(thread.is_alive() for thread in threads):
            wait(1)

    threads = [threading.Thread(target=follow) for _ in range(FOLLOWED)]
    for thread in threads:
        thread.start()
    with pytest.raises(TooManyRequests, match="followed containers"):
        ask_until_refused()
    api.service.containers.write(quiet, "all may go\n")
    for thread in threads:
        thread.join()


def test_a_viewer_is_told_which_role_it_takes(api: Served) -> None:
    with api.client() as admin:
        auditor = admin.create_token(TokenRequest(owner="mia", role="auditor")).secret
    with api.client(auditor) as mia:
        with pytest.raises(Forbidden) as refused:
            mia.container_log("mine")
        assert refused.value.details["needs"] == "operator"
        assert "read_container_logs" not in mia.environment("mine").may


def test_what_no_longer_runs_is_not_found(api: Served, client: Client) -> None:
    client.create(CreateRequest(name="empty", template="web"))
    assert client.containers("empty") == []
    with pytest.raises(NotFound, match="has no containers"):
        client.container_log("empty")


def test_stored_events_are_read_from_the_end(api: Served, client: Client) -> None:
    client.create(CreateRequest(name="wordy", template="web"))
    api.service.log("wordy", *(f"line {number}" for number in range(25)))
    every = client.history("wordy")
    assert client.newest_history("wordy", limit=5) == every[-5:]
    assert client.newest_history("wordy", before=every[-5].id, limit=3) == every[-8:-5]
    assert client.newest_history("wordy", before=every[0].id) == []
    headers = {"Authorization": f"Bearer {api.token}"}
    with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=30) as http:
        path = "/v1/environments/wordy/events?newest=true&limit=7"
        found: list[dict[str, object]] = []
        while path:
            answer = http.get(path)
            found = answer.json() + found
            path = answer.links.get("next", {}).get("url", "")
    assert [one["id"] for one in found] == [one.id for one in every]
