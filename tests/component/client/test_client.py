"""The client on real connections: retries, streams, and no endless waiting."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from environments.client import Client
from environments.domain.errors import (
    CalvinverseError,
    ServiceUnavailable,
)
from environments.domain.lifecycle import State
from environments.wire.environments import Accepted, CreateRequest
from tests.support.views import environment_view


def test_nothing_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with Client(address, "cv_token") as client, pytest.raises(ServiceUnavailable, match="can't be reached") as told:
        client.info()
    assert told.value.details["address"] == address


def test_an_answer_that_never_comes() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        client = Client(address, "cv_token", timeout=0.3)
        with client, pytest.raises(ServiceUnavailable, match="doesn't answer in time"):
            client.info()
        assert time.monotonic() - began < 20


@contextmanager
def dropping(answer: bytes, drops: int) -> Iterator[tuple[str, list[bytes]]]:
    """A server that drops the first connections after reading the request, and then answers."""
    requests: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                requests.append(connection.recv(65536))
                if len(requests) > drops:
                    connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(120)


def _answer(document: Any) -> bytes:
    body = json.dumps(document).encode()
    return b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def test_create_is_sent_again_with_the_same_key_when_the_connection_drops() -> None:
    accepted = Accepted(environment=environment_view("demo", State.REQUESTED), deployment_id="dep-1")
    answer = _answer(accepted.model_dump(mode="json"))
    with dropping(answer, drops=1) as (address, requests), Client(address, "cv_token") as client:
        assert client.create(CreateRequest(name="demo", template="web")) == accepted
    keys = [
        line for request in requests for line in request.splitlines() if line.lower().startswith(b"idempotency-key")
    ]
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_what_must_not_happen_twice_is_not_sent_again() -> None:
    with dropping(b"", drops=9) as (address, requests), Client(address, "cv_token") as client:
        with pytest.raises(ServiceUnavailable, match="dropped the connection"):
            client.retry("demo")
        assert len(requests) == 1
        with pytest.raises(ServiceUnavailable):
            client.environments()
        assert len(requests) == 3


def test_a_stream_that_waits_can_be_closed_from_another_thread() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: 1\n\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}", "cv_token")
        stream = client.events()
        thread = threading.Thread(target=lambda: list(stream))
        thread.start()
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)
            time.sleep(0.2)
            began = time.monotonic()
            client.close()
            thread.join(120)
        assert not thread.is_alive()
        assert time.monotonic() - began < 20


@pytest.mark.parametrize("streaming", [False, True], ids=["request", "stream"])
def test_a_connection_that_is_made_while_the_client_is_closed_is_closed_too(
    monkeypatch: pytest.MonkeyPatch, streaming: bool
) -> None:
    """As when the terminal UI ends while it connects again: on a busy machine that takes a while."""
    connecting, closed = threading.Event(), threading.Event()
    made: list[socket.socket] = []
    connect = socket.create_connection

    def slow(*arguments: Any, **options: Any) -> socket.socket:
        connecting.set()
        assert closed.wait(120)
        made.append(connect(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(socket, "create_connection", slow)
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = Client(f"http://127.0.0.1:{server.getsockname()[1]}", "cv_token")

        def ask() -> None:
            with contextlib.suppress(CalvinverseError):
                if streaming:
                    list(client.events())
                else:
                    client.info()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 2\r\n\r\n{}")
                connection.recv(1)  # until the other side closes

        threads = [threading.Thread(target=target, daemon=True) for target in (ask, answer)]
        for thread in threads:
            thread.start()
        assert connecting.wait(120)
        client.close()
        closed.set()
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive()
    assert [connection.fileno() for connection in made] == [-1]
    with pytest.raises(ServiceUnavailable):
        client.info()
