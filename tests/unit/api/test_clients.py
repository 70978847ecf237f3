"""Whom the service takes for the client of a request: the edge is believed, and nobody else."""

from pathlib import Path
from typing import Any

import pytest
import structlog
from starlette.types import Receive, Scope, Send

from environments.api.clients import PAGE_LABEL, Clients, EdgeSecret, Refusals, beyond, client_of, passed_on
from environments.api.routes.edge import credential
from images.places import CHECKOUT

PEER = ("127.0.0.1", 1)
SECRET = ("Calvinverse-Edge", "the secret")
CLIENT = ("Calvinverse-Client", "192.0.2.7")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text("the secret\n")
    return file


def seen(secret: EdgeSecret, *headers: tuple[str, str]) -> dict[str, Any]:
    """What is behind the middleware of a request with these headers."""
    found: dict[str, Any] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.update(scope)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "client": PEER, "headers": [(b"host", b"x"), *raw]}
    # It waits for nothing, so it needs no loop.
    with pytest.raises(StopIteration):
        Clients(app, secret)(scope, None, None).send(None)  # type: ignore[arg-type]  # neither is used
    return found


def test_the_edge_tells_who_asks(secret: Path) -> None:
    found = seen(EdgeSecret(secret), SECRET, CLIENT)
    assert (client_of(found), beyond(found)) == ("192.0.2.7", "192.0.2.7")
    assert found["headers"] == [(b"host", b"x")]


def test_an_address_of_version_6_is_written_in_one_way(secret: Path) -> None:
    found = seen(EdgeSecret(secret), SECRET, ("Calvinverse-Client", "2001:DB8:0:0::1"))
    assert client_of(found) == "2001:db8::1"


@pytest.mark.parametrize(
    "headers",
    [
        [CLIENT],
        [("Calvinverse-Edge", "another"), CLIENT],
        [("Calvinverse-Edge", ""), CLIENT],
        [("Calvinverse-Edge", "the secre"), CLIENT],
        [SECRET, SECRET, CLIENT],
        [SECRET, CLIENT, CLIENT],
        [SECRET],
        [SECRET, ("Calvinverse-Client", "somebody")],
        [SECRET, ("Calvinverse-Client", "192.0.2.7, 192.0.2.8")],
        [("X-Forwarded-For", "192.0.2.7")],
        [("Forwarded", "for=192.0.2.7")],
        [("X-Real-IP", "192.0.2.7")],
    ],
    ids=str,
)
def test_nobody_else_is_believed(secret: Path, headers: list[tuple[str, str]]) -> None:
    found = seen(EdgeSecret(secret), *headers)
    assert (client_of(found), beyond(found)) == ("127.0.0.1", "")
    assert found["headers"] == [(b"host", b"x")]


@pytest.mark.parametrize("text", [None, "", "\n"])
def test_without_a_secret_there_is_no_edge(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "secret"
    if text is not None:
        file.write_text(text)
    for known in (EdgeSecret(file), EdgeSecret(None)):
        for given in ("", "the secret"):
            found = seen(known, ("Calvinverse-Edge", given), CLIENT)
            assert client_of(found) == "127.0.0.1"


def test_what_the_page_passes_on_counts_too_and_nothing_else_that_is_derived(secret: Path) -> None:
    known = EdgeSecret(secret)
    assert known.matches(passed_on(b"the secret"))
    assert not known.matches(passed_on(b"another"))
    assert not known.matches(credential(b"the secret").encode())
    assert credential(passed_on(b"the secret")) != credential(b"the secret")


def test_the_job_of_the_edge_derives_it_with_the_same_label() -> None:
    text = (CHECKOUT / "jobs" / "meta" / "edge.nomad.hcl").read_text(encoding="utf-8")
    assert f'hmacSHA256Hex "{PAGE_LABEL.decode()}" .Data.data.secret' in text


def test_a_secret_that_changes_counts_at_once(secret: Path) -> None:
    known = EdgeSecret(secret)
    assert known.matches(b"the secret")
    secret.write_text("the next one")
    assert known.matches(b"the next one")
    assert not known.matches(b"the secret")


def test_tokens_that_are_refused_are_logged_once_a_minute_for_each_client() -> None:
    now = 1000.0
    refusals = Refusals(lambda: now)
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            refusals.note("192.0.2.7")
        refusals.note("192.0.2.8")
        now += 61
        refusals.note("192.0.2.7")
    assert [(line["client"], line["count"]) for line in lines] == [("192.0.2.7", 1), ("192.0.2.8", 1), ("192.0.2.7", 3)]


def test_what_is_remembered_of_clients_has_an_end() -> None:
    refusals = Refusals(lambda: 0.0)
    with structlog.testing.capture_logs():
        for number in range(5000):
            refusals.note(str(number))
    assert len(refusals._seen) == 1000
