"""Connections to PostgreSQL with a time limit for every call, and the driver's errors as Calvinverse's."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import OperationalError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from environments.domain.errors import (
    DatabaseCorrupt,
    DatabaseDenied,
    DatabaseUnavailable,
    DiskFull,
    InvalidInput,
    StorageError,
)

CONNECT_TIMEOUT = 5
"""Seconds that connecting may take, for each address of the server."""

STATEMENT_TIMEOUT = 15.0
"""Seconds after which the server ends a statement."""

LOCK_TIMEOUT = 10.0
"""Seconds that a statement waits for a lock."""

IDLE_TIMEOUT = 8.0
"""Seconds after which the server ends an idle transaction: its process hangs, and holds locks."""

ANSWER_TIMEOUT = 20.0
"""Seconds after which a connection without an answer is closed: the server hangs, or the network is cut."""

MIGRATION_TIMEOUT = 600.0
"""Seconds for each statement of a migration."""

_STARTING = ("is starting up", "not yet accepting connections", "in recovery mode")
"""What a server says that starts, or recovers what a crash has left."""

_STARTING_PAUSE = 0.2

_FULL = ("too many clients", "too many connections", "remaining connection slots")

_UNVERIFIED = ("certificate verify failed", "does not match host name", "does not support SSL")
"""What libpq says when `sslmode` asks for a certificate that the server doesn't show."""

_NO_AUTHORITY = "root certificate file"
"""What libpq says of the file of `sslrootcert` when it can't be used."""

T = TypeVar("T")


class LimitedConnection(psycopg.Connection[tuple[Any, ...]]):
    """Closes the connection if the server doesn't answer in time; then the server's own limits don't help."""

    answer_timeout = ANSWER_TIMEOUT

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """See `psycopg.Connection.wait`."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.answer_timeout)
        except psycopg.errors._WaitTimeout as error:
            self.pgconn.finish()
            raise OperationalError(f"no answer within {self.answer_timeout:.0f} s") from error


@contextmanager
def migration_limits(connection: LimitedConnection) -> Iterator[None]:
    """Raises the time limit of statements in the present transaction to that of a migration."""
    limit = f"'{MIGRATION_TIMEOUT:.0f}s'"
    connection.answer_timeout = MIGRATION_TIMEOUT + ANSWER_TIMEOUT
    try:
        for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(f"SET LOCAL {setting} = {limit}")
        yield
    finally:
        connection.answer_timeout = ANSWER_TIMEOUT


class ConnectionMaker:
    """Opens connections to one database. The password is read for each, so that it can be changed."""

    def __init__(self, url: str, password_file: Path | None) -> None:
        """Raises `InvalidInput`."""
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:
            raise InvalidInput(
                "The address of the database can't be read.", hint="Give it as postgresql://USER@HOST:PORT/DATABASE."
            ) from None
        if given.pop("password", None) is not None:
            raise InvalidInput(
                "The address of the database holds a password, which others could read.",
                hint="Put the password into a file, and name that with CALVINVERSE_DATABASE_PASSWORD_FILE.",
            )
        self._given = given
        self._password_file = password_file
        host, port, name = (given.get(part) for part in ("host", "port", "dbname"))
        self.where = f"{name or given.get('user') or ''} at {host or 'this machine'}{f':{port}' if port else ''}"
        """For people: the name of the database and its server."""

    def connect(self) -> LimitedConnection:
        """A new connection; waits for a server that is just starting as long as for one that doesn't answer.

        Raises the driver's errors, and `DatabaseDenied` if the password can't be read.
        """
        limits = {
            "statement_timeout": STATEMENT_TIMEOUT,
            "lock_timeout": LOCK_TIMEOUT,
            "idle_in_transaction_session_timeout": IDLE_TIMEOUT,
        }
        options = " ".join(f"-c {name}={seconds * 1000:.0f}" for name, seconds in limits.items())
        options += " -c TimeZone=UTC"  # the last moments of the year 9999 can't be read in a zone east of it
        arguments: dict[str, Any] = {
            "connect_timeout": CONNECT_TIMEOUT,
            "application_name": "calvinverse",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": round(ANSWER_TIMEOUT * 1000),
            **self._given,
            "options": f"{self._given.get('options', '')} {options}".strip(),
        }
        if self._password_file is not None:
            arguments["password"] = self._password()
        end = time.monotonic() + CONNECT_TIMEOUT
        while True:
            try:
                return LimitedConnection.connect(**arguments)
            except OperationalError as error:
                if time.monotonic() >= end or not any(words in str(error) for words in _STARTING):
                    raise
            time.sleep(_STARTING_PAUSE)

    def connect_alone(self) -> LimitedConnection:
        """An unpooled connection, for locks that last as long as the session; each statement is its own transaction."""
        connection = self.connect()
        connection.autocommit = True
        return connection

    def _password(self) -> str:
        assert self._password_file is not None
        try:
            return self._password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it isn't text"
            raise DatabaseDenied(f"The password file {self._password_file} can't be read: {reason}.") from error


@contextmanager
def storage_errors(where: str) -> Iterator[None]:
    """Converts the driver's errors to `StorageError`s; `where` names the database."""
    try:
        yield
    except NoConnection as error:
        raise DatabaseUnavailable(
            f"No connection to the database {where} is free: there are too many requests at once."
        ) from error
    except DBAPIError as error:
        raise _ours(error.orig if isinstance(error.orig, psycopg.Error) else error, where) from error
    except psycopg.Error as error:
        raise _ours(error, where) from error


def _ours(error: Exception, where: str) -> StorageError | InvalidInput:
    state = (error.sqlstate if isinstance(error, psycopg.Error) else None) or ""
    said = _first_line(error)
    if isinstance(error, psycopg.DataError) and "NUL (0x00)" in said:
        return InvalidInput("A text holds the character U+0000, which can't be stored.")
    if state in ("28P01", "28000", "42501"):
        return DatabaseDenied(f"The database {where} refuses us: {said}.")
    if state == "53100":
        return DiskFull(f"The database {where} can't be written: {said}.", hint="Free space on the database's server.")
    if state == "53300":
        return DatabaseUnavailable(
            f"The database {where} has no free connection: {said}.",
            hint="Raise max_connections of PostgreSQL, or run fewer processes.",
        )
    if state in ("40001", "40P01", "55P03", "57014"):
        return DatabaseUnavailable(f"The database {where} was too busy with other changes: {said}.")
    if state == "25P03":
        return DatabaseUnavailable(
            f"The database {where} ended a change in which nothing happened for {IDLE_TIMEOUT:.0f} s.",
            hint="This machine is too busy, or was paused. Nothing was changed: do the same again.",
        )
    if state.startswith("XX"):
        return DatabaseCorrupt(f"The database {where} is damaged: {said}.", hint="See PostgreSQL's own log.")
    if isinstance(error, OperationalError) and state[:2] not in ("3D", "0A"):
        # Names in quotes are those of hosts, databases and users.
        plain = re.sub(r'"[^"]*"', '""', said)
        if "password" in plain or "authentication" in plain:
            # For a refused connection the driver only has a text.
            return DatabaseDenied(f"The database {where} refuses us: {said}.")
        if any(words in plain for words in _FULL):
            return DatabaseUnavailable(
                f"The database {where} has no free connection: {said}.",
                hint="Raise max_connections of PostgreSQL, or run fewer processes.",
            )
        if any(words in plain for words in _UNVERIFIED):
            return DatabaseUnavailable(
                f"The database {where} is not trusted: {said}.",
                hint="The server's certificate must be valid, for the host in the address, and signed by the authority "
                "in its `sslrootcert`. If it is, something else answers there. No password was sent.",
            )
        if _NO_AUTHORITY in plain:
            return StorageError(
                f"The database {where} can't be verified: {said}.",
                hint="Correct `sslrootcert` in its address: the file (PEM) with the authority of the server.",
            )
        if "does not exist" in plain:
            return StorageError(
                f"The database {where} can't be used: {said}.", hint="Make it with `createdb`, or correct its address."
            )
        return DatabaseUnavailable(f"The database {where} can't be reached: {said}.")
    return StorageError(
        f"The database {where} failed: {said}.", hint="Look at the log of the service and at PostgreSQL's own."
    )


def _first_line(error: Exception) -> str:
    return " ".join((str(error).splitlines() or [type(error).__name__])[0].split()).rstrip(".")
