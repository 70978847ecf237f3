"""Connections that come while the edge begins to listen."""

import contextlib
import socket

import pytest

from images.edge.app import listeners
from tests.support.service_process import free_port

CONNECTIONS = 32


def test_whoever_connects_while_it_begins_to_listen_reaches_the_first_set(monkeypatch: pytest.MonkeyPatch) -> None:
    place = ("127.0.0.1", free_port())
    listening = listeners._listening
    with contextlib.ExitStack() as stack:
        made: list[socket.socket] = []

        def then_connect(where: tuple[str, int]) -> socket.socket:
            made.append(listening(where))
            for _ in range(CONNECTIONS):
                stack.enter_context(socket.create_connection(where, timeout=60))
            return made[-1]

        monkeypatch.setattr(listeners, "_listening", then_connect)
        found = listeners.Listeners([place])
        stack.callback(found.close)
        first, second = made
        for _ in range(2 * CONNECTIONS):
            first.accept()[0].close()
        with pytest.raises(BlockingIOError):
            second.accept()
