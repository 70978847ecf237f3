"""What other processes commit: PostgreSQL tells of it (LISTEN), and when it can't, we look."""

import threading
import time
from collections.abc import Callable

import structlog

from environments.domain.errors import CalvinverseError
from environments.stores.postgres_calls import ConnectionMaker, LimitedConnection, storage_errors

CHANNEL = "calvinverse_events"
"""Told, with the id of the newest event, of each commit that wrote events."""

POLLED_EVERY = 1.0
"""Seconds without a word after which we look: a word may be lost, as when a pool stands between."""

_STOPS_WITHIN = 0.5
_LONGEST_PAUSE = 2.0
_NEWEST = "SELECT coalesce(max(id), 0) FROM events"

log = structlog.get_logger()


class Listener:
    """One thread with a connection of its own, made again when it is lost."""

    def __init__(self, maker: ConnectionMaker, tell: Callable[[int], None]) -> None:
        self._maker = maker
        self._tell = tell
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Begins to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Ends."""
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
        # What was committed while nobody listened.
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
