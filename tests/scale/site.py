"""A service on PostgreSQL with many environments: real processes, and counters of what they use."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Table

from environments.client import read_bundle
from environments.domain.template import make_bundle
from environments.stores.database import Database
from environments.stores.postgres import open_postgres
from environments.stores.schema import deployments, environments, events, resources, steps
from tests.bench.engine_queue import SLOW, used
from tests.bench.reading import add_ready
from tests.bench.run import WEB
from tests.scale.model import Split
from tests.support.authorities import make_authority
from tests.support.multiprocess import Member
from tests.support.postgres import Postgres

AS_DEPLOYED = {
    "fsync": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "shared_buffers": "128MB",
    "max_connections": "300",
    "jit": "off",
}
"""Settings of the PostgreSQL that deploy runs, where those of tests differ."""

SLOTS = "8"
PATIENCE = 300.0
"""Seconds for the start of a process."""

STEPS = 5
"""Of the template: as many as `web` has."""

TEMPLATE = '[template]\nname = "five"\n' + "".join(
    f'[[steps]]\nname = "step-{number}"\nuses = "test.thing"\n' + (f'needs = ["step-{number - 1}"]\n' if number else "")
    for number in range(STEPS)
)

WHOLE = 50
"""Environments with all that `web` leaves: those that are shown. The others have their rows, and a deployment each."""

_FIRST = "bench-0000"


@dataclass(frozen=True)
class Counts:
    """What was used so far: processor time in seconds, and what PostgreSQL counts."""

    at: float
    cores: Split
    transactions: int
    last_event: int


class Site:
    """The processes of one service."""

    def __init__(self, folder: Path, postgres: Postgres, database: str) -> None:
        self._folder = folder
        self.postgres = postgres
        self.database = database
        self.api = self._member("api")
        self.workers: list[Member] = []
        self.connection = postgres.connect(database.rpartition("/")[2])

    def start(self, workers: int) -> None:
        """Starts the service, and so many workers."""
        self.api.secured(make_authority()).start(module=SLOW, seconds=PATIENCE)
        self.api.client.push(make_bundle({"template.toml": TEMPLATE.encode()}))
        self.start_workers(workers)

    def start_workers(self, count: int) -> None:
        """Starts so many more."""
        for _ in range(count):
            member = self._member(f"worker-{len(self.workers)}")
            self.workers.append(member)
            member.start(module=SLOW, seconds=PATIENCE)

    def stop(self) -> None:
        """Stops all processes of the service."""
        self.connection.close()
        for member in (*reversed(self.workers), self.api):
            member.stop()

    def _member(self, name: str) -> Member:
        role, password = name.partition("-")[0], self.postgres.password_file
        return Member(self._folder / name, role, self.database, password, self._folder, CALVINVERSE_SLOTS_DEPLOY=SLOTS)

    def number(self, query: str, *values: object) -> int:
        """The one number that a query gives."""
        row = self.connection.execute(query.encode(), values).fetchone()
        return int(str(row[0] or 0)) if row else 0

    def environments(self) -> int:
        """How many there are."""
        return self.number("SELECT count(*) FROM environments WHERE destroyed_at IS NULL")

    def counts(self) -> Counts:
        """Now."""
        workers = sum(used(worker.pid) for worker in self.workers)
        cores = Split(used(self.api.pid), workers, tree(self.postgres.pid))
        transactions = self.number(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        )
        return Counts(time.monotonic(), cores, transactions, self.number("SELECT max(id) FROM events"))

    def until_nothing_is_left(self, seconds: float = 300) -> None:
        """Waits until no deployment is queued or runs; the service isn't asked, so that this costs it nothing."""
        end = time.monotonic() + seconds
        while self.number("SELECT count(*) FROM deployments WHERE state IN ('queued', 'running')"):
            assert time.monotonic() < end, "deployments don't end"
            time.sleep(0.1)


def tree(pid: int) -> float:
    """Seconds of processor time of a process and of its children, also of those that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ended = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    total = used(pid) + ended
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(FileNotFoundError, ProcessLookupError):
            total += used(int(child))
    return total


@contextmanager
def site(folder: Path, environments_: int, workers: int) -> Iterator[Site]:
    """A service with so many environments, and so many workers beside it that carry out deployments."""
    folder.mkdir(parents=True)
    postgres = Postgres(**AS_DEPLOYED).start()
    try:
        address = postgres.new_database()
        fill(postgres, address, environments_)
        made = Site(folder, postgres, address)
        try:
            made.start(workers)
            yield made
        finally:
            made.stop()
    finally:
        postgres.close()


def write_event(database: Database) -> None:
    """A commit with one event, of an environment that `fill` wrote."""
    with database.write() as tx:
        tx.events.add_logs([(f"env-{_FIRST}", f"dep-{_FIRST}", "app", datetime.now(UTC), "a line")])


def fill(postgres: Postgres, address: str, count: int) -> None:
    """Writes one environment as `web` leaves it, and copies its rows in the database."""
    database = open_postgres(address, postgres.password_file)
    bundle, now = read_bundle(WEB), datetime.now(UTC)
    try:
        with database.write() as tx:
            tx.templates.push("web", bundle, "bench", now)
            add_ready(tx, bundle.digest, bundle.template(), _FIRST, 0, now)
    finally:
        database.close()
    environment, deployment = "'env-bench-' || lpad(n::text, 4, '0')", "'dep-bench-' || lpad(n::text, 4, '0')"
    copied: dict[Table, dict[str, str | None]] = {
        environments: {
            "id": environment,
            "name": "'bench-' || lpad(n::text, 4, '0')",
            "owner": "'owner-' || n % 20",
            "created_at": "created_at - n * interval '1 second'",
        },
        deployments: {"id": deployment, "environment_id": environment},
        steps: {"deployment_id": deployment},
        resources: {"environment_id": environment, "id": None},
        events: {"environment_id": environment, "deployment_id": deployment, "id": None},
    }
    with postgres.connect(address.rpartition("/")[2]) as connection:
        for table, values in copied.items():
            number = count if table in (environments, deployments) else min(count, WHOLE)
            written = [column for column in table.columns if column.computed is None]
            columns = [column.name for column in written if values.get(column.name, "") is not None]
            given = ", ".join(values.get(name) or f"r.{name}" for name in columns)
            source = f"SELECT {given} FROM {table.name} r, generate_series(1, {number - 1}) n"  # noqa: S608 - our own words
            connection.execute(f"INSERT INTO {table.name} ({', '.join(columns)}) {source}".encode())
        connection.execute("ANALYZE")
