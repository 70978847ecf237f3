"""Published entry points, and what each edge serves."""

from datetime import datetime

from sqlalchemy import Connection, select

from environments.domain.lifecycle import State
from environments.service.storage.entry_points import EdgeReport, PublishedService
from environments.stores.schema import edges, environments
from environments.stores.schema import entry_points as table

_STOPPED = (State.STOPPING.value, State.STOPPED.value)


class SqlEntryPoints:
    """See `environments.service.storage.entry_points.EntryPoints`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self, environment_id: str | None = None) -> list[PublishedService]:
        query = (
            select(table.c.environment_id, environments.c.name, table.c.service, environments.c.state)
            .join(environments, environments.c.id == table.c.environment_id)
            .order_by(table.c.environment_id, table.c.service)
        )
        if environment_id is not None:
            query = query.where(table.c.environment_id == environment_id)
        found = self._connection.execute(query)
        return [PublishedService(id, name, service, state in _STOPPED) for id, name, service, state in found]

    def add(self, environment_id: str, service: str) -> None:
        self.remove(environment_id, service)
        self._connection.execute(table.insert().values(environment_id=environment_id, service=service))

    def remove(self, environment_id: str, service: str) -> None:
        self._connection.execute(
            table.delete().where(table.c.environment_id == environment_id, table.c.service == service)
        )

    def report(self, report: EdgeReport) -> None:
        self._connection.execute(edges.delete().where(edges.c.id == report.edge))
        values = {"id": report.edge, "seen_at": report.seen_at, "routes": sorted(report.routes)}
        self._connection.execute(edges.insert().values(**values))

    def reports(self, since: datetime) -> list[EdgeReport]:
        rows = self._connection.execute(select(edges).where(edges.c.seen_at >= since).order_by(edges.c.id))
        return [EdgeReport(row.id, row.seen_at, frozenset(row.routes)) for row in rows]

    def forget_reports(self, before: datetime) -> None:
        self._connection.execute(edges.delete().where(edges.c.seen_at < before))
