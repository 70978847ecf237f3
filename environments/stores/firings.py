"""What triggers did."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, or_, select

from environments.domain.trigger import Firing, FiringState, TriggerAction
from environments.stores.events_schema import firings as table
from environments.stores.events_schema import received_events
from environments.stores.locks import Locks
from environments.stores.once import insert_once

_PENDING = table.c.state == FiringState.PENDING.value
_NEWEST = (table.c.created_at.desc(), table.c.id.desc())


class SqlFirings:
    """See `environments.service.storage.triggers.Firings`."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks

    def add(self, firings: Sequence[Firing]) -> int:
        rows = [{**_row(firing.model_dump()), "target": firing.environment_id or ""} for firing in firings]
        return insert_once(self._connection, table, rows)

    def get(self, firing_id: str) -> Firing | None:
        row = self._connection.execute(select(table).where(table.c.id == firing_id)).one_or_none()
        return None if row is None else _firing(row)

    def of_event(self, event_id: str) -> list[Firing]:
        return self._read(select(table).where(table.c.event_id == event_id).order_by(table.c.created_at, table.c.id))

    def of_trigger(self, trigger_id: str, *, limit: int) -> list[Firing]:
        return self._read(select(table).where(table.c.trigger_id == trigger_id).order_by(*_NEWEST).limit(limit))

    def due(self, now: datetime, limit: int) -> list[str]:
        query = select(table.c.id).where(table.c.due_at <= now, _PENDING)
        query = query.order_by(table.c.due_at, table.c.created_at, table.c.id).limit(limit)
        return list(self._connection.execute(query).scalars())

    def take(self, firing_id: str, now: datetime) -> Firing | None:
        query = select(table).where(table.c.id == firing_id, _PENDING, table.c.due_at <= now)
        if self._locks.needed:
            query = query.with_for_update(skip_locked=True)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _firing(row)

    def newer(self, firing: Firing, at: datetime | None) -> str | None:
        query = select(table.c.event_id).where(
            table.c.trigger_id == firing.trigger_id,
            table.c.environment_id == firing.environment_id,
            table.c.action == firing.action.value,
            or_(
                table.c.created_at > firing.created_at,
                (table.c.created_at == firing.created_at) & (table.c.id > firing.id),
            ),
            table.c.state.in_([FiringState.PENDING.value, FiringState.DONE.value]),
        )
        if at is not None:
            happened = received_events.c.at
            query = query.join(received_events, received_events.c.id == table.c.event_id)
            query = query.where(or_(happened.is_(None), happened >= at))
        return self._connection.execute(query.order_by(*_NEWEST).limit(1)).scalar_one_or_none()

    def change(self, firing_id: str, **values: Any) -> None:
        self._connection.execute(table.update().where(table.c.id == firing_id).values(**_row(values)))

    def count_pending(self) -> int:
        query = select(func.count()).select_from(table).where(table.c.due_at.is_not(None), _PENDING)
        return self._connection.execute(query).scalar_one()

    def _read(self, query: Select[Any]) -> list[Firing]:
        return [_firing(row) for row in self._connection.execute(query)]


def _row(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, FiringState | TriggerAction) else value for name, value in values.items()
    }


def _firing(row: Row[Any]) -> Firing:
    return Firing.model_validate({name: value for name, value in row._mapping.items() if name != "target"})
