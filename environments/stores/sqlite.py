"""SQLite in WAL mode: opened by one process at a time, migrated on start after a copy was made."""

import fcntl
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from environments.domain.errors import DatabaseCorrupt, DatabaseInUse, DatabaseUnavailable, DiskFull, StorageError
from environments.stores.columns import read_column, write_column
from environments.stores.migrating import missing, upgrade
from environments.stores.transaction import Database

BUSY_TIMEOUT = 10.0
"""Seconds that a transaction waits for the writer before it."""

SYNCHRONOUS = "FULL"
"""Each commit is on the disk when it ends: the inventory is written ahead, and must survive a power cut."""

FILE = "calvinverse.sqlite"
COPIES_KEPT = 5


class AlwaysLeader:
    """See `Leadership`: for the only process on a database."""

    def is_leader(self) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Does nothing: closing the database releases its lock."""


class SqliteDatabase(Database):
    """See `Database`. One transaction writes at a time."""

    def __init__(self, engine: Engine, lock: int, path: Path) -> None:
        super().__init__(str(path))
        self._engine = engine
        self._lock = lock
        self._writer = threading.Lock()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._writer, _storage_errors(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with _storage_errors(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            yield connection

    def follow(self, tell: Callable[[int], None]) -> None:
        """See `Database.follow`: nobody else commits."""
        self.on_commit.append(tell)

    def leadership(self, *, comes_first: bool = True) -> AlwaysLeader:
        """See `Database.leadership`."""
        return AlwaysLeader()

    def now(self) -> None:
        """See `Database.now`: there is no server."""
        return

    def identity(self) -> str:
        """See `Database.identity`: a copy of a file can't be told from it."""
        return ""

    def close(self) -> None:
        """See `Database.close`."""
        self._engine.dispose()
        os.close(self._lock)


def open_sqlite(folder: Path) -> SqliteDatabase:
    """The database in `folder`, made or migrated as needed; the copy from before a migration stays beside it.

    Raises `DatabaseInUse`, `DatabaseCorrupt`, `DatabaseFromFuture`, `DiskFull`, `StorageError`.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"The folder {folder} can't be used: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
            raise DatabaseInUse(f"Another service (process {owner}) uses the database in {folder}.") from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        path = folder / FILE
        with _storage_errors(path):
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            _check_integrity(path)
            engine = _engine(path)
            _migrate(engine, path)
        return SqliteDatabase(engine, lock, path)
    except BaseException:
        os.close(lock)
        raise


def _engine(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        json_serializer=write_column,
        json_deserializer=read_column,
        connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False},
        pool_size=16,
        max_overflow=32,
        pool_timeout=30,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is sent explicitly: the driver would begin late, and only for writes
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def _check_integrity(path: Path) -> None:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT)
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()
    finally:
        connection.close()
    if found != ("ok",):
        raise DatabaseCorrupt(
            f"The database {path} is damaged: {found[0]}.",
            hint=f"Restore the newest copy {path.name}.before-* beside it, or move it away to start over.",
        )


def _migrate(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        now, head = missing(connection, str(path))
        if head is None:
            return
        copy = None if now is None else _copy(path, f"{path.name}.before-{head}")
        upgrade(connection)
    # What a migration deleted for secrecy must remain neither in the write-ahead log nor in the copy.
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    if copy is not None:
        _forget_requests(copy)


def _forget_requests(copy: Path) -> None:
    """Deletes the hashes of requests from a copy: those of older versions allowed guesses at secrets."""
    connection = sqlite3.connect(copy)
    try:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("DELETE FROM idempotency")
        connection.commit()
    finally:
        connection.close()


def _copy(path: Path, name: str) -> Path:
    """A consistent copy by SQLite's own backup; older copies than the newest few are removed."""
    part = path.with_name(f"{name}.part")
    source, target = sqlite3.connect(path), sqlite3.connect(part)
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()
    part.chmod(0o600)
    part.rename(path.with_name(name))
    copies = sorted(path.parent.glob(f"{path.name}.before-*"), key=lambda copy: copy.stat().st_mtime)
    for old in copies[:-COPIES_KEPT]:
        old.unlink()
    return path.with_name(name)


@contextmanager
def _storage_errors(path: Path | None = None) -> Iterator[None]:
    """Converts the driver's errors to `StorageError`s."""
    try:
        yield
    except NoConnection as error:
        raise DatabaseUnavailable(
            "The database has no free connection: there are too many requests at once."
        ) from error
    except (DBAPIError, sqlite3.Error, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        text = str(cause)
        if isinstance(cause, OSError) and not isinstance(cause, sqlite3.Error) and path is None:
            raise
        where = f"The database {path}" if path else "The database"
        if "disk is full" in text or "disk I/O" in text or "No space left" in text:
            free = shutil.disk_usage(path.parent).free if path else None
            more = f" ({free // 1024} KiB are free)" if free is not None else ""
            raise DiskFull(f"{where} can't be written: {text}{more}.") from error
        if "not a database" in text or "malformed" in text:
            raise DatabaseCorrupt(f"{where} is damaged: {text}.") from error
        if "database is locked" in text:
            raise DatabaseUnavailable(f"{where} is busy: another process writes to it.") from error
        raise StorageError(f"{where} failed: {text}.") from error
