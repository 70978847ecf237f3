"""Who carries out deployments: every start of a worker, judged alive by the database's clock."""

from datetime import datetime

from sqlalchemy import Connection, select

from environments.service.pages import Page
from environments.service.storage.deployments import WorkerRecord
from environments.stores.clock import database_clock
from environments.stores.paging import read_page
from environments.stores.schema import workers as table


class SqlWorkers:
    """See `environments.service.storage.deployments.Workers`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._now = database_clock(connection)

    def beat(self, worker: WorkerRecord, lease: float) -> None:
        until = self._now + lease
        done = self._connection.execute(
            table.update().where(table.c.name == worker.name).values(seen_at=worker.seen_at, lease_until=until)
        )
        if done.rowcount == 0:
            row = {name: getattr(worker, name) for name in WorkerRecord._fields if name != "alive"}
            self._connection.execute(table.insert().values(**row, lease_until=until))

    def all(self, *, limit: int | None = None, skip: int = 0) -> Page[WorkerRecord]:
        named = [table.c[name] for name in WorkerRecord._fields if name != "alive"]
        query = select(*named, (table.c.lease_until >= self._now).label("alive"))
        query = query.order_by(table.c.started_at.desc(), table.c.name).offset(skip or None)
        return read_page(self._connection, query, limit).each(
            lambda row: WorkerRecord(**{**row._mapping, "alive": bool(row.alive)})
        )

    def leave(self, name: str) -> None:
        self._connection.execute(table.delete().where(table.c.name == name))

    def forget(self, before: datetime) -> int:
        return self._connection.execute(table.delete().where(table.c.seen_at < before)).rowcount
