"""PostgreSQL: shared by any number of processes, each call with a time limit, migrated on start by one of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from psycopg.types.json import set_json_dumps, set_json_loads
from sqlalchemy import Connection, Engine, create_engine, select, text

from environments.domain.errors import StorageError
from environments.stores.clock import database_clock
from environments.stores.columns import read_column, write_column
from environments.stores.leader_lock import LeaderLock
from environments.stores.listening import Listener
from environments.stores.locks import MIGRATION, advisory_key
from environments.stores.migrating import missing, upgrade
from environments.stores.postgres_calls import (
    ConnectionMaker,
    LimitedConnection,
    migration_limits,
    storage_errors,
)
from environments.stores.transaction import Database

OLDEST = 14
"""The oldest version of PostgreSQL that is supported: `idle_session_timeout` came with it."""

POOL_SIZE = 8
"""Connections that a process keeps open."""

POOL_OVERFLOW = 16
"""Further connections under load."""

POOL_TIMEOUT = 10.0
"""Seconds that a call waits for a free connection."""

POOL_RECYCLE = 1800
"""Seconds after which a connection is replaced."""


_IDENTITY = text(
    "SELECT (SELECT system_identifier FROM pg_control_system()), (SELECT timeline_id FROM pg_control_checkpoint()), "
    "(SELECT oid FROM pg_database WHERE datname = current_database())"
)


class PostgresDatabase(Database):
    """See `Database`. Transactions that write read what is committed, and lock what they change: `stores.locks`."""

    shared = True

    def __init__(self, engine: Engine, maker: ConnectionMaker) -> None:
        super().__init__(maker.where)
        self._engine = engine
        self._reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._maker = maker
        self._listener: Listener | None = None

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with storage_errors(self.where), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with storage_errors(self.where), self._reader.connect() as connection:
            yield connection

    def follow(self, tell: Callable[[int], None]) -> None:
        """See `Database.follow`: this process's commits at once, those of others by notification."""
        self.on_commit.append(tell)
        if self._listener is None:
            self._listener = Listener(self._maker, self._tell_all)
            self._listener.start()

    def leadership(self, *, comes_first: bool = True) -> LeaderLock:
        """See `Database.leadership`."""
        return LeaderLock(self._maker, comes_first=comes_first)

    def now(self) -> datetime:
        """See `Database.now`."""
        with self._reading() as connection:
            seconds = connection.execute(select(database_clock(connection))).scalar_one()
        return datetime.fromtimestamp(seconds, UTC)

    def identity(self) -> str:
        """See `Database.identity`: the cluster, its timeline (another one after a recovery), and the database in it."""
        with self._reading() as connection:
            return "/".join(map(str, connection.execute(_IDENTITY).one()))

    def close(self) -> None:
        """See `Database.close`."""
        if self._listener is not None:
            self._listener.stop()
        self._engine.dispose()

    def _tell_all(self, newest: int) -> None:
        for tell in self.on_commit:
            tell(newest)


def open_postgres(url: str, password_file: Path | None) -> PostgresDatabase:
    """The database at `url` (a libpq URI without a password), made or migrated as needed.

    Raises `InvalidInput`, `DatabaseUnavailable`, `DatabaseDenied`, `DatabaseFromFuture`, `StorageError`.
    """
    maker = ConnectionMaker(url, password_file)

    def connect() -> LimitedConnection:
        # SQLAlchemy passes its (de)serialisers to the driver only if it opens the connection itself.
        connection = maker.connect()
        set_json_dumps(write_column, connection)
        set_json_loads(read_column, connection)
        return connection

    engine = create_engine(
        "postgresql+psycopg://",
        creator=connect,
        pool_pre_ping=True,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=POOL_TIMEOUT,
        pool_recycle=POOL_RECYCLE,
    )
    try:
        with storage_errors(maker.where):
            _migrate(engine, maker)
    except BaseException:
        engine.dispose()
        raise
    return PostgresDatabase(engine, maker)


def _migrate(engine: Engine, maker: ConnectionMaker) -> None:
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, LimitedConnection)
        version = driver.info.server_version // 10000
        if version < OLDEST:
            raise StorageError(
                f"The database {maker.where} is PostgreSQL {version}.", hint=f"Use PostgreSQL {OLDEST} or later."
            )
        if missing(connection, maker.where)[1] is None:
            return
        connection.rollback()
        with migration_limits(driver):
            # If several processes start at once, one migrates; the others wait and have nothing to do.
            first, second = advisory_key(MIGRATION)
            connection.execute(text(f"SELECT pg_advisory_xact_lock({first}, {second})"))
            if missing(connection, maker.where)[1] is not None:
                upgrade(connection)
        connection.rollback()
