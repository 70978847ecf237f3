"""Servers that keep a channel waiting, or say too much: each delivery has an end, and its reason."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from environments.providers.channels import mail, webhooks
from environments.providers.channels.configured import ConfiguredChannels
from environments.service.channels import Channel, NotDelivered, Target, WarningMessage

SECRET = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
MAIL = Target(Channel.EMAIL, "grace@example.net")
NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)
LIMIT = 1.0
"""Seconds, in place of those of the product."""

MESSAGE = WarningMessage("warn-1", "demo", "env-1", "ada", "web", NOW + timedelta(hours=1), NOW)


@contextlib.contextmanager
def server(says: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that says something to each connection, without reading, until the other side closes it."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            says(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def drip(connection: socket.socket) -> None:
    while True:
        connection.sendall(b" ")
        time.sleep(0.05)


def nothing(connection: socket.socket) -> None:
    connection.recv(1)  # the greeting of the other side, or its end
    time.sleep(120)


def endless_greeting(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"220-welcome\r\n" * 1000)


def endless_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: and more\r\n" * 1000)


@pytest.fixture(autouse=True)
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "_LIMIT", LIMIT)
    monkeypatch.setattr(webhooks, "_LIMIT", LIMIT)


def mailing(folder: Path, port: int) -> ConfiguredChannels:
    (folder / "channels.toml").write_text(
        f"[email]\nhost = '127.0.0.1'\nport = {port}\nsecurity = 'none'\n"
        "from = 'calvinverse@example.net'\nto = 'grace@example.net'\n"
    )
    return ConfiguredChannels(folder / "channels.toml")


def hooking(folder: Path, port: int) -> ConfiguredChannels:
    (folder / "channels.toml").write_text(f"[webhook]\nurl = 'http://127.0.0.1:{port}/x'\nsecret = '{SECRET}'\n")
    return ConfiguredChannels(folder / "channels.toml")


@pytest.mark.parametrize("says", [drip, nothing])
def test_a_mail_server_that_does_not_come_to_an_end_is_left(
    says: Callable[[socket.socket], None], tmp_path: Path
) -> None:
    with server(says) as port, pytest.raises(NotDelivered, match=r"didn't take it within 1 s"):
        mailing(tmp_path, port).send(MAIL, MESSAGE)


def test_a_mail_server_that_says_too_much_is_left(tmp_path: Path) -> None:
    with server(endless_greeting) as port, pytest.raises(NotDelivered):
        mailing(tmp_path, port).send(MAIL, MESSAGE)


@pytest.mark.parametrize("says", [drip, nothing])
def test_a_webhook_that_does_not_come_to_an_end_is_left(says: Callable[[socket.socket], None], tmp_path: Path) -> None:
    with server(says) as port, pytest.raises(NotDelivered):
        hooking(tmp_path, port).send(Target(Channel.WEBHOOK), MESSAGE)


def test_a_webhook_that_says_too_much_is_left(tmp_path: Path) -> None:
    with server(endless_headers) as port, pytest.raises(NotDelivered):
        hooking(tmp_path, port).send(Target(Channel.WEBHOOK), MESSAGE)
