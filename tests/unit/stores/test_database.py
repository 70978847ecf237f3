"""The tables and the migrations that make them, on both databases; how a database that can't be used is told."""

from pathlib import Path

import psycopg
import pytest

from environments.domain.errors import (
    InvalidInput,
)
from environments.stores import postgres_calls
from environments.stores.database import open_database


def test_a_password_in_the_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds a password") as caught:
        open_database(tmp_path, "postgresql://me:swordfish@127.0.0.1/some")
    assert "swordfish" not in str(caught.value)
    with pytest.raises(InvalidInput, match="can't be read"):
        open_database(tmp_path, "postgresql://me@127.0.0.1/some?nonsense=1")


class Server:
    """A PostgreSQL that refuses connections with these words, one after the other, and then takes them."""

    def __init__(self, *words: str) -> None:
        self.left = list(words)

    def connect(self, **_arguments: object) -> str:
        if self.left:
            raise psycopg.OperationalError(f"connection failed: FATAL:  {self.left.pop(0)}")
        return "connected"


STARTING = (
    "the database system is starting up",
    "the database system is in recovery mode",
    "the database system is not yet accepting connections",
)


def test_a_server_that_is_just_starting_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(*STARTING)
    monkeypatch.setattr(postgres_calls.LimitedConnection, "connect", server.connect)
    connected: object = postgres_calls.ConnectionMaker("postgresql://me@127.0.0.1/some", None).connect()
    assert connected == "connected"
    assert server.left == []


@pytest.mark.parametrize(("words", "seconds"), [(STARTING[0], 0), ("the database system is shutting down", 120)])
def test_a_server_that_goes_on_starting_or_says_something_else_is_not(
    monkeypatch: pytest.MonkeyPatch, words: str, seconds: int
) -> None:
    server = Server(words, words)
    monkeypatch.setattr(postgres_calls.LimitedConnection, "connect", server.connect)
    monkeypatch.setattr(postgres_calls, "CONNECT_TIMEOUT", seconds)
    with pytest.raises(psycopg.OperationalError, match=words):
        postgres_calls.ConnectionMaker("postgresql://me@127.0.0.1/some", None).connect()
    assert server.left == [words]
