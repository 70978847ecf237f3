"""The database of a service: opened by one process at a time (SQLite), migrated on start after a copy was made."""

import fcntl
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from pydantic_core import from_json
from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.exc import DBAPIError

from environments.domain.errors import (
    DatabaseCorrupt,
    DatabaseFromFuture,
    DatabaseInUse,
    DiskFull,
    StorageError,
)
from environments.stores.catalogue import SqlImages, SqlRequests, SqlTemplates, SqlTokens
from environments.stores.deployments import SqlDeployments
from environments.stores.environments import KnownRows, SqlEnvironments
from environments.stores.events import SqlEvents
from environments.stores.journal import SqlInventory, SqlJournal
from environments.stores.plans import SqlPlans
from environments.stores.schema import (
    bundles,
    deployments,
    environments,
    idempotency,
    templates,
)
from environments.stores.workers import SqlWorkers

BUSY_TIMEOUT = 10.0
"""Seconds that a transaction waits for the writer before it."""

FILE = "calvinverse.sqlite"
COPIES_KEPT = 5


class SqlTransaction:
    """See `environments.service.storage.Transaction`."""

    def __init__(self, connection: Connection, known: KnownRows) -> None:
        self._connection = connection
        self.environments = SqlEnvironments(connection, known)
        self.deployments = SqlDeployments(connection)
        self.journal = SqlJournal(connection)
        self.inventory = SqlInventory(connection)
        self.events = SqlEvents(connection)
        self.templates = SqlTemplates(connection)
        self.images = SqlImages(connection)
        self.tokens = SqlTokens(connection)
        self.requests = SqlRequests(connection)
        self.plans = SqlPlans(connection)
        self.workers = SqlWorkers(connection)

    def forget_ended(self, before: datetime) -> int:
        """See `Transaction.forget_ended`; what belongs to an environment goes with it (ON DELETE CASCADE)."""
        done = self._connection.execute(environments.delete().where(environments.c.destroyed_at < before))
        self._connection.execute(
            idempotency.delete().where(idempotency.c.environment_id.not_in(select(environments.c.id)))
        )
        self._connection.execute(
            bundles.delete().where(
                bundles.c.digest.not_in(select(environments.c.bundle)),
                bundles.c.digest.not_in(select(deployments.c.bundle)),
                bundles.c.digest.not_in(select(templates.c.digest)),
            )
        )
        return done.rowcount


class Database:
    """A SQLite database in WAL mode. `on_commit` is called with the newest event's id after each commit that wrote."""

    def __init__(self, engine: Engine, lock: int) -> None:
        self._engine = engine
        self._lock = lock
        self._writer = threading.Lock()
        self._known = KnownRows()
        self.on_commit: list[Callable[[int], None]] = []

    @contextmanager
    def write(self) -> Iterator[SqlTransaction]:
        """A transaction that may write. Raises `StorageError`."""
        with self._writer, _storage_errors(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            transaction = SqlTransaction(connection, self._known)
            yield transaction
            connection.commit()
        for tell in self.on_commit:
            tell(transaction.events.last)

    @contextmanager
    def read(self) -> Iterator[SqlTransaction]:
        """A consistent view for reading. Raises `StorageError`."""
        with _storage_errors(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            yield SqlTransaction(connection, self._known)

    def close(self) -> None:
        """Closes every connection and gives the database free."""
        self._engine.dispose()
        os.close(self._lock)


def open_database(folder: Path) -> Database:
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
        return Database(engine, lock)
    except BaseException:
        os.close(lock)
        raise


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        json_deserializer=from_json,
        connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False},
        pool_size=16,
        max_overflow=32,
        pool_timeout=30,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves: the driver would begin late, and only for writes
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # the inventory must survive a power cut: it is written ahead
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
            hint=f"Restore the newest copy {path.name}.before-* beside it, or move it away to start anew.",
        )


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _migrate(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        config = _alembic(connection)
        scripts = ScriptDirectory.from_config(config)
        now = MigrationContext.configure(connection).get_current_revision()
        head = scripts.get_current_head()
        if now == head:
            return
        if now is not None:
            try:
                scripts.get_revision(now)
            except CommandError as error:
                raise DatabaseFromFuture(
                    f"The database {path} has version {now}, which this version of Calvinverse doesn't know."
                ) from error
            _copy(path, f"{path.name}.before-{head}")
        command.upgrade(config, "head")
        connection.commit()


def _copy(path: Path, name: str) -> None:
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


@contextmanager
def _storage_errors(path: Path | None = None) -> Iterator[None]:
    """Turns the driver's errors into ours."""
    try:
        yield
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
        raise StorageError(f"{where} failed: {text}.") from error
