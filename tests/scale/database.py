"""What PostgreSQL needs for a claim with a long queue, for a commit with events, and for forgetting old events."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from environments.domain.admission import KINDS, Lane
from environments.engine.scheduler import Retention
from environments.service import transitions
from environments.stores.database import Database
from environments.stores.postgres import open_postgres
from tests.scale.site import AS_DEPLOYED, fill, tree, write_event
from tests.support.postgres import Postgres

CLAIMS = 30
COMMITS = 100
LEASE = 3600.0


@dataclass(frozen=True)
class Took:
    """One of something: processor time of PostgreSQL and of the process that asks, and the time that passed."""

    postgres: float
    asking: float
    passed: float


class Measured:
    """A database with so many environments."""

    def __init__(self, postgres: Postgres, address: str) -> None:
        self._postgres = postgres
        self._name = address.rpartition("/")[2]
        self._database: Database = open_postgres(address, postgres.password_file)

    def close(self) -> None:
        """Closes its connections."""
        self._database.close()

    def claims(self, queued: int, count: int = CLAIMS) -> Took:
        """A claim, with so many creates of 20 owners in the queue."""
        self._say("UPDATE deployments SET state = 'succeeded'")
        self._say(
            "UPDATE deployments SET state = 'queued', ended_at = NULL, started_at = NULL, worker = NULL WHERE id IN "
            "(SELECT id FROM deployments ORDER BY id LIMIT %s)",
            queued,
        )
        self._say("ANALYZE deployments")
        return self._each(count, self._claim)

    def commits(self, count: int = COMMITS) -> Took:
        """A commit with one event: what PostgreSQL allows one after the other only."""
        return self._each(count, partial(write_event, self._database))

    def forgetting(self, kept: int) -> Took:
        """A round that forgets old log lines, with so many older events that are kept longer."""
        now, keeps = datetime.now(UTC), Retention()
        self._say("TRUNCATE events")
        for type_, rows, days in (("deployment", kept, 20), ("log", 5000, 15)):
            self._say(
                "INSERT INTO events (at, type, environment_id, message, data) SELECT "
                "now() - %s * interval '1 day', %s, 'env-bench-0000', 'something', '{}' FROM generate_series(1, %s)",
                days,
                type_,
                rows,
            )
        self._say("ANALYZE events")

        def forget() -> None:
            with self._database.write() as tx:
                assert tx.events.forget(logs_before=now - keeps.logs, events_before=now - keeps.events) == 5000

        return self._each(1, forget)

    def _claim(self) -> None:
        with self._database.write() as tx:
            assert transitions.claim(tx, "bench", LEASE, KINDS[Lane.DEPLOY], datetime.now(UTC)) is not None

    def _each(self, count: int, call: Callable[[], None]) -> Took:
        before, asking, began = tree(self._postgres.pid), os.times(), time.monotonic()
        for _ in range(count):
            call()
        passed, after, now = time.monotonic() - began, tree(self._postgres.pid), os.times()
        used = now.user + now.system - asking.user - asking.system
        return Took((after - before) / count, used / count, passed / count)

    def _say(self, query: str, *values: object) -> None:
        with self._postgres.connect(self._name) as connection:
            connection.execute(query.encode(), values or None)


@contextmanager
def database(environments: int) -> Iterator[Measured]:
    """A PostgreSQL of its own, as deployed, without a service."""
    postgres = Postgres(**AS_DEPLOYED).start()
    try:
        address = postgres.new_database()
        fill(postgres, address, environments)
        measured = Measured(postgres, address)
        try:
            yield measured
        finally:
            measured.close()
    finally:
        postgres.close()
