"""The server sleeps until there is something to do, and stops when any thread says so."""

import socket
import threading

import pytest
from starlette.responses import PlainTextResponse

from environments.serving import server as serving
from environments.serving.server import Server, make_server

SECONDS = 120.0


def test_a_server_that_sleeps_answers_and_stops_when_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_TICK", 10 * SECONDS)
    ticks = []
    tick = Server.on_tick

    async def counted(self: Server, counter: int) -> bool:
        ticks.append(counter)
        return await tick(self, counter)

    monkeypatch.setattr(Server, "on_tick", counted)
    server = make_server(PlainTextResponse("here"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    with socket.create_connection(listener.getsockname(), SECONDS) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        answered = b""
        while part := connection.recv(4096):
            answered += part
    assert b"\r\ndate: " in answered
    assert answered.endswith(b"here")
    assert len(ticks) == 1
    server.should_exit = True
    thread.join(SECONDS)
    assert not thread.is_alive()
    assert len(ticks) == 2
