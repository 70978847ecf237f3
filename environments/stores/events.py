"""Events and log lines, in the order in which they happened."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, or_, select

from environments.domain.environment import Event, EventType
from environments.stores.schema import environments
from environments.stores.schema import events as table

_INSERT = table.insert()


class SqlEvents:
    """See `environments.service.storage.Events`. `last` is the id of the newest event that this transaction wrote."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.last = 0

    def add(
        self,
        type: EventType,
        environment_id: str,
        now: datetime,
        *,
        deployment_id: str | None = None,
        step: str | None = None,
        message: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> int:
        done = self._connection.execute(
            _INSERT,
            {
                "at": now,
                "type": type.value,
                "environment_id": environment_id,
                "deployment_id": deployment_id,
                "step": step,
                "message": message,
                "data": dict(data or {}),
            },
        )
        key = done.inserted_primary_key
        assert key is not None
        self.last = int(key[0])
        return self.last

    def add_logs(self, rows: Sequence[tuple[str, str, str | None, datetime, str]]) -> None:
        if not rows:
            return
        self._connection.execute(
            table.insert(),
            [
                {
                    "at": at,
                    "type": EventType.LOG.value,
                    "environment_id": environment_id,
                    "deployment_id": deployment_id,
                    "step": step,
                    "message": line,
                    "data": {},
                }
                for environment_id, deployment_id, step, at, line in rows
            ],
        )
        self.last = self.newest()

    def after(
        self,
        event_id: int,
        *,
        environment_id: str | None,
        owner: str | None,
        limit: int,
    ) -> list[Event]:
        query = (
            select(table, environments.c.name.label("environment"))
            .join(environments, environments.c.id == table.c.environment_id)
            .where(table.c.id > event_id)
            .order_by(table.c.id)
            .limit(limit)
        )
        if environment_id is not None:
            query = query.where(table.c.environment_id == environment_id)
        if owner is not None:
            query = query.where(environments.c.owner == owner)
        return [Event.model_validate(row._mapping) for row in self._connection.execute(query)]

    def newest(self) -> int:
        return self._connection.execute(select(func.max(table.c.id))).scalar_one_or_none() or 0

    def forget(self, *, logs_before: datetime, events_before: datetime) -> int:
        old_log = (table.c.type == EventType.LOG.value) & (table.c.at < logs_before)
        done = self._connection.execute(delete(table).where(or_(old_log, table.c.at < events_before)))
        return done.rowcount
