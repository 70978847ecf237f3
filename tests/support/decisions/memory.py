"""SQLite in memory behind the real stores, which can be copied and restored like a database's files."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from environments.stores.columns import read_column, write_column
from environments.stores.migrating import upgrade
from environments.stores.sqlite import SqliteDatabase


class MemoryDatabase(SqliteDatabase):
    """For one thread, which has at most one transaction open."""

    def __init__(self) -> None:
        super().__init__(_engine(), os.open(os.devnull, os.O_RDONLY), Path("memory"))
        with self._engine.connect() as connection:
            upgrade(connection)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    def copy(self) -> bytes:
        """Everything in it."""
        return self._driver().serialize()

    def restore(self, copied: bytes) -> None:
        """Makes it what a copy says."""
        self._driver().deserialize(copied)

    def _driver(self) -> sqlite3.Connection:
        connection: Any = self._engine.raw_connection().driver_connection
        assert isinstance(connection, sqlite3.Connection)
        return connection


def _engine() -> Engine:
    engine = create_engine(
        "sqlite://",
        poolclass=StaticPool,
        json_serializer=write_column,
        json_deserializer=read_column,
        connect_args={"check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")

    return engine
