"""One among many processes: a lock that PostgreSQL gives to one session and takes back when that is silent or gone."""

import structlog

from environments.domain.errors import DatabaseUnavailable
from environments.stores.locks import CLOCK, advisory_key
from environments.stores.postgres_calls import ConnectionMaker, LimitedConnection, storage_errors

SILENCE = 5.0
"""Seconds after which PostgreSQL ends the session of a process that is stopped or cut off, so that another has its
turn. The session of a killed process ends at once."""

log = structlog.get_logger()


class ClockTurn:
    """See `Turn`. Used by one thread. Two processes may believe for a moment that it is theirs: what the clock does is
    decided anew, and fenced by row locks, in each transaction."""

    def __init__(self, maker: ConnectionMaker) -> None:
        self._maker = maker
        self._session: LimitedConnection | None = None
        self._ours: bool | None = None
        """None: nobody has been told yet."""

    def is_ours(self) -> bool:
        """See `Turn.is_ours`. Raises `StorageError` when the database can't be asked."""
        try:
            with storage_errors(self._maker.where):
                ours = self._ask()
        except DatabaseUnavailable:
            known, was_ours = self._session is not None, self._ours
            self.close()
            if was_ours:
                log.warning("clock.lost")
            if not known:
                raise
            return self.is_ours()  # the session was ended; the next one may be the clock again
        if ours != self._ours:
            log.info("clock.leads" if ours else "clock.follows")
        self._ours = ours
        return ours

    def close(self) -> None:
        """See `Turn.close`."""
        session, self._session = self._session, None
        if self._ours:
            self._ours = False
        if session is not None:
            session.close()

    def _ask(self) -> bool:
        if self._session is None:
            self._session = self._maker.connect_alone()
            self._session.execute(f"SET idle_session_timeout = '{SILENCE:.0f}s'")
        if self._ours:
            # The lock is ours as long as the session lives; this also keeps it from being silent.
            self._session.execute("SELECT 1")
            return True
        first, second = advisory_key(CLOCK)
        row = self._session.execute("SELECT pg_try_advisory_lock(%s, %s)", (first, second)).fetchone()
        return row is not None and bool(row[0])
