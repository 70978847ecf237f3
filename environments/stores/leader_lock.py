"""Leader election on PostgreSQL: an advisory lock that one session holds until it ends or is silent.

Processes that only work come first: each shows by a shared lock that it is there, and one that also answers requests
leads only while there is none.
"""

from typing import LiteralString

import structlog

from environments.domain.errors import DatabaseUnavailable
from environments.stores.locks import FIRST, LEADER, advisory_key
from environments.stores.postgres_calls import ConnectionMaker, LimitedConnection, storage_errors

SILENCE = 5.0
"""Seconds after which PostgreSQL ends the session of a process that is stopped or cut off, so that another process can
lead. The session of a killed process ends at once."""

_OTHERS = """
SELECT EXISTS (
  SELECT FROM pg_locks
  WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted AND objsubid = 2
    AND (classid::bigint, objid::bigint) = (%s, %s)
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
"""
"""Whether a process that comes first is there."""

log = structlog.get_logger()


class LeaderLock:
    """See `Leadership`.

    Two processes may believe for a moment that they lead. That does no harm: each transaction of the scheduler decides
    again what is due, and is fenced by row locks.
    """

    def __init__(self, maker: ConnectionMaker, *, comes_first: bool = True) -> None:
        self._maker = maker
        self._comes_first = comes_first
        self._session: LimitedConnection | None = None
        self._leads: bool | None = None
        """None: not asked yet."""

    def is_leader(self) -> bool:
        """See `Leadership.is_leader`. Raises `StorageError` when the database can't be asked."""
        try:
            leads = self._asked()
        except DatabaseUnavailable:
            known, led = self._session is not None, self._leads
            self.close()
            if led:
                log.warning("leader.lost")
            if not known:
                raise
            leads = self._asked_anew()  # the server ended the session; the next one may lead again
        if leads != self._leads:
            log.info("leader.acquired" if leads else "leader.standby")
        self._leads = leads
        return leads

    def close(self) -> None:
        """See `Leadership.close`."""
        session, self._session = self._session, None
        if self._leads:
            self._leads = False
        if session is not None:
            session.close()

    def _asked(self) -> bool:
        with storage_errors(self._maker.where):
            return self._ask()

    def _asked_anew(self) -> bool:
        try:
            return self._asked()
        except DatabaseUnavailable:
            self.close()
            raise

    def _ask(self) -> bool:
        if self._session is None:
            self._session = self._maker.connect_alone()
            self._session.execute(f"SET idle_session_timeout = '{SILENCE:.0f}s'")
            if self._comes_first:
                self._session.execute("SELECT pg_advisory_lock_shared(%s, %s)", advisory_key(FIRST))
        if not self._comes_first and self._says(_OTHERS, FIRST):
            if self._leads:
                self._says("SELECT pg_advisory_unlock(%s, %s)", LEADER)
            return False
        if self._leads:
            # The lock is held as long as the session lives; this also keeps it from being silent.
            self._session.execute("SELECT 1")
            return True
        return self._says("SELECT pg_try_advisory_lock(%s, %s)", LEADER)

    def _says(self, query: LiteralString, which: int) -> bool:
        assert self._session is not None
        row = self._session.execute(query, advisory_key(which)).fetchone()
        return row is not None and bool(row[0])
