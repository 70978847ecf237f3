"""Commits of other processes: PostgreSQL notifies of them (LISTEN); a poll replaces lost notifications."""

import threading
import time
from collections.abc import Callable

import structlog

from environments.domain.errors import CalvinverseError
from environments.stores.postgres_calls import ConnectionMaker, LimitedConnection, storage_errors

CHANNEL = "calvinverse_events"
"""The channel on which each commit with events sends the id of its newest event."""

POLLED_EVERY = 1.0
"""Seconds without a notification after which the database is polled: a connection pooler may lose notifications."""

_STOPS_WITHIN = 0.5
_LONGEST_PAUSE = 2.0
_NEWEST = "SELECT coalesce(max(id), 0) FROM events"

log = structlog.get_logger()


class Listener:
    """A thread with a connection of its own, which is opened again when it is lost."""

    def __init__(self, maker: ConnectionMaker, tell: Callable[[int], None]) -> None:
        self._maker = maker
        self._tell = tell
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread."""
        self._stopping.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        pause, lost = 0.1, False
        while not self._stopping.is_set():
            try:
                with storage_errors(self._maker.where), self._maker.connect_alone() as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    if lost:
                        log.info("events.heard_again")
                    pause, lost = 0.1, False
                    self._listen(connection)
            except (CalvinverseError, OSError) as error:
                if not lost:
                    log.warning("events.not_heard", reason=str(error))
                lost = True
            self._stopping.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _listen(self, connection: LimitedConnection) -> None:
        # For what was committed while there was no connection.
        self._poll(connection)
        known = time.monotonic()
        while not self._stopping.is_set():
            wait = min(POLLED_EVERY, _STOPS_WITHIN)
            heard = [int(word.payload) for word in connection.notifies(timeout=wait, stop_after=1)]
            if heard:
                self._tell(max(heard))
            elif time.monotonic() - known >= POLLED_EVERY:
                self._poll(connection)
            else:
                continue
            known = time.monotonic()

    def _poll(self, connection: LimitedConnection) -> None:
        row = connection.execute(_NEWEST).fetchone()
        assert row is not None
        self._tell(int(row[0]))
